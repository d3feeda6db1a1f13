"""The chip of a program as an architecture file for SANA-FE: the mesh, the coefficients, one core for the inputs.

It has the tiles of the mesh up to the last one in use. The input units stand on a core of their own on the tile where
input enters, since each takes memory on every core that has it.
"""

from __future__ import annotations

import json
from typing import Any

from conntra_hardware.cost.coefficients import Coefficients
from conntra_hardware.cost.events import INPUT_CORE
from conntra_hardware.program import Program

__all__ = ["architecture", "core_places"]

SOMA, WHOLE_SOMA, DENDRITE, INPUT_UNIT = "neuron", "whole", "dendrite", "input"
"""WHOLE_SOMA is TrueNorth's, which spikes at its threshold."""
_TABLE = "synchronisation table"
_SYNAPSES = ("dense", "sparse", "conv")
_DENDRITES = ("accumulator", "accumulator_with_delay")


def architecture(program: Program, costs: Coefficients, delays: bool = False) -> str:
    """Return the architecture as YAML: JSON, which YAML takes in, but for the numeric keys of one table.

    ``delays``: with dendrites that hold charges for some steps, and buffers before them.
    """
    tiles = [_tile(program, costs, index, delays) for index in range(_height(program) * _width(program))]
    table = {"architecture": {"name": "conntra", "attributes": _mesh(program), "tile": tiles}}
    synchronisation = ", ".join(f"{tiles}: {seconds!r}" for tiles, seconds in costs.synchronisation)
    return json.dumps(table).replace(f'"{_TABLE}"', f"{{{synchronisation}}}")


def core_places(program: Program) -> dict[int, tuple[int, int]]:
    """Return for each core in use, and for -1, the core of the inputs, its (tile, core in the tile) there."""
    chip, places = program.chip, {}
    for core in sorted({s.core for s in program.slices}):
        places[core] = (_tile_index(program, core), core % chip.cores % chip.cores_per_tile)
    places[-1] = (_tile_index(program, INPUT_CORE), chip.cores_per_tile)
    return places


def _width(program: Program) -> int:
    return max(program.chip.tile(core)[0] for core in {INPUT_CORE} | {s.core for s in program.slices}) + 1


def _height(program: Program) -> int:
    return max(program.chip.tile(core)[1] for core in {INPUT_CORE} | {s.core for s in program.slices}) + 1


def _tile_index(program: Program, core: int) -> int:
    # SANA-FE numbers its tiles column by column.
    x, y = program.chip.tile(core)
    return x * _height(program) + y


def _mesh(program: Program) -> dict[str, Any]:
    return {
        "topology": "mesh",
        "width": _width(program),
        "height": _height(program),
        "link_buffer_size": 16,
        "sync_model": "table",
        "latency_sync": _TABLE,
    }


def _tile(program: Program, costs: Coefficients, index: int, delays: bool) -> dict[str, Any]:
    hops = {"east": "hop_ew", "west": "hop_ew", "north": "hop_ns", "south": "hop_ns"}
    attributes = {f"energy_{way}_hop": costs.energy_j[name] for way, name in hops.items()}
    # The simple timing model takes no time for hops.
    attributes |= {f"latency_{way}_hop": 0.0 for way in hops}
    cores = [_core(program, costs, f"core{index}_{core}", 0, delays) for core in range(program.chip.cores_per_tile)]
    if index == _tile_index(program, INPUT_CORE):
        cores.append(_core(program, costs, "inputs", program.n_inputs, delays))
    return {"name": f"tile{index}", "attributes": attributes, "core": cores}


def _core(program: Program, costs: Coefficients, name: str, inputs: int, delays: bool) -> dict[str, Any]:
    energy, latency = costs.energy_j, costs.latency_s
    soma = [_unit(SOMA, "leaky_integrate_fire", energy, latency)]
    if any(p.neuron.facts.form == "integrating" for p in program.populations):
        soma.append(_unit(WHOLE_SOMA, "truenorth", energy, latency))
    if inputs:
        free = dict.fromkeys(("neuron_access", "neuron_update", "spike"), 0.0)
        soma.append(_unit(f"{INPUT_UNIT}[0..{inputs - 1}]" if inputs > 1 else f"{INPUT_UNIT}[0]", "input", free, free))
    return {
        "name": name,
        "attributes": {
            "buffer_position": "dendrite" if delays else "soma",
            "buffer_inside_unit": delays,
            "max_neurons_supported": max(program.chip.neurons_per_core, program.n_inputs),
        },
        "axon_in": [
            {
                "name": "in",
                "attributes": {"energy_message_in": energy["packet_in"], "latency_message_in": latency["packet_in"]},
            }
        ],
        "soma": soma,
        "dendrite": [
            {
                "name": DENDRITE,
                "attributes": {"model": _DENDRITES[delays], "energy_update": 0.0, "latency_update": 0.0},
            }
        ],
        "synapse": [
            {
                "name": kind,
                "attributes": {
                    "model": "current_based",
                    "energy_process_spike": energy[f"synop_{kind}"],
                    "latency_process_spike": latency[f"synop_{kind}"],
                },
            }
            for kind in _SYNAPSES
        ],
        "axon_out": [
            {
                "name": "out",
                "attributes": {
                    "energy_message_out": energy["packet_out"],
                    "latency_message_out": latency["packet_out"],
                },
            }
        ],
    }


def _unit(name: str, model: str, energy: Any, latency: Any) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": {
            "model": model,
            "energy_access_neuron": energy["neuron_access"],
            "latency_access_neuron": latency["neuron_access"],
            "energy_update_neuron": energy["neuron_update"],
            "latency_update_neuron": latency["neuron_update"],
            "energy_spike_out": energy["spike"],
            "latency_spike_out": latency["spike"],
        },
    }
