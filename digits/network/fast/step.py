"""Whole steps of training by any number of threads, with the same bits.

A batch is cut into eight slices. A step is a row of phases: every slice of one comes before any of
the next. Threads take slices as they come, so one that is late holds up nobody for longer than its
slice, and what a slice computes does not depend on who does.
"""

from typing import Any

import numpy as np
from numba import types

from digits.network.fast.backward import backward, head, norm_gradient
from digits.network.fast.forward import channel_of, forward, statistics
from digits.network.fast.job import (
    CLASSIFY,
    SLICES,
    STATISTICS,
    TRAIN,
    Clock,
    Job,
    Network,
    Piece,
    bias_of,
)
from digits.network.fast.lanes import add_atomic, flush_subnormals, load_atomic
from digits.network.fast.register import LANES, cached, compiled, inlined

OCTETS = 2  # that go through a phase together: their weight gradients are summed in registers
BETA2, EPS = 0.999, 1e-8  # Adam's
SPINS = 10_000  # looks at the clock before a thread sleeps
FUTEX, WAIT, WAKE = 202, 128, 129  # Linux on x86-64: the system call, and what it is to do

system_call = types.ExternalFunction("syscall", types.int64(*[types.int64] * 5))


@inlined
def _wait(clock: Clock, slices: int) -> None:
    """Wait until so many slices are done, at first awake."""
    for _ in range(SPINS):
        if load_atomic(clock, 1) >= slices:
            break
    done = load_atomic(clock, 1)
    while done < slices:
        system_call(FUTEX, clock[1:].ctypes.data, WAIT, done, 0)  # returns if it has changed
        done = load_atomic(clock, 1)


@inlined
def _work_on(net: Network, job: Job, batch: int, phase: int, number: int) -> None:
    """One slice of one phase."""
    convolutions, begin = len(net.convolutions), batch * job.batch
    images = min(job.batch, len(job.images) - begin)
    octets = -(-images // LANES)
    if phase == 2 * convolutions + 1:
        _update(net, job, batch, number)
        return
    if phase < convolutions and job.mode != CLASSIFY:
        _begin_sums(net, net.plan[net.convolutions[phase]], number)
    if number == 0 and phase > 0:
        _once(Piece(net, job, begin, images, 0, 0, 0), phase)
    if phase == convolutions:
        if job.mode == STATISTICS:
            return
        net.gradients[number] = 0
    end = octets * (number + 1) // SLICES
    for first in range(octets * number // SLICES, end, OCTETS):
        piece = Piece(net, job, begin, images, number, first, min(first + OCTETS, end))
        if phase > convolutions:
            backward(piece, 2 * convolutions - phase)
            continue
        for n in range(phase, convolutions + 1 if job.mode == CLASSIFY else phase + 1):
            forward(piece, n)
        if phase == convolutions:
            head(piece)


@compiled
def _begin_sums(net: Network, layer: Any, number: int) -> None:
    """Deviations are measured from the running mean."""
    for k in range(layer.outputs):
        sums = net.sums[number, layer.channel + k]
        sums[:] = 0
        sums[0] = np.float64(net.running[2 * layer.channel + k]) - bias_of(net, layer, k)


@compiled
def _once(piece: Piece, phase: int) -> None:
    """What one slice does for all, now that a whole phase is over."""
    net, convolutions = piece.net, len(piece.net.convolutions)
    if phase <= convolutions:
        layer = net.plan[net.convolutions[phase - 1]]
        count = piece.images * layer.y_size * layer.y_size
        for k in range(layer.outputs):
            mean, variance = statistics(net, piece.images, layer, k)
            mean += bias_of(net, layer, k)
            at, momentum = 2 * layer.channel + k, piece.job.momentum
            net.running[at] += momentum * (mean - net.running[at])
            at += layer.outputs
            net.running[at] += momentum * (variance * count / (count - 1) - net.running[at])
    else:
        layer = net.plan[net.convolutions[2 * convolutions - phase]]
        for k in range(layer.outputs):
            by_beta, by_gamma = norm_gradient(net, layer, k, channel_of(piece, layer, k))
            net.gradients[0, layer.gamma + k] = by_gamma
            net.gradients[0, layer.gamma + layer.outputs + k] = by_beta


@compiled
def _update(net: Network, job: Job, batch: int, number: int) -> None:
    """Adam, for one slice of the weights."""
    kind = net.weights.dtype.type
    step_size, by_root, beta1 = job.rates[batch]
    count = len(net.weights)
    for i in range(count * number // SLICES, count * (number + 1) // SLICES):
        total = net.gradients[0, i]
        for n in range(1, SLICES):
            total += net.gradients[n, i]
        total += kind(job.weight_decay) * net.weights[i]
        net.first[i] += kind(1 - beta1) * (total - net.first[i])
        net.second[i] += kind(1 - BETA2) * (total * total - net.second[i])
        root = np.sqrt(net.second[i]) * kind(by_root) + kind(EPS)
        net.weights[i] -= kind(step_size) * net.first[i] / root


@cached
def work(net: Network, job: Job) -> None:
    """Take part in a job until it is done; any number of threads may, and one suffices.

    Subnormal numbers, which processors take long with, count as zero except in Adam, where they
    are few: the weights of a dead channel decay towards them.
    """
    convolutions = len(net.convolutions)
    phases = 1
    if job.mode == TRAIN:
        phases = 2 * convolutions + 2
    elif job.mode == STATISTICS:
        phases = convolutions + 1
    turns = phases * -(-len(job.images) // job.batch)
    while True:
        turn, number = divmod(add_atomic(job.clock, 0, np.int32(1)), SLICES)
        if turn >= turns:
            break
        _wait(job.clock, turn * SLICES)
        batch, phase = divmod(turn, phases)
        flush_subnormals(phase <= 2 * convolutions)
        _work_on(net, job, batch, phase, number)
        flush_subnormals(False)
        if (add_atomic(job.clock, 1, np.int32(1)) + 1) % SLICES == 0:
            system_call(FUTEX, job.clock[1:].ctypes.data, WAKE, 2**31 - 1, 0)
    _wait(job.clock, turns * SLICES)
