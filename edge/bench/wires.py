"""What hangs on the board's wires: pins, buses, probes and meters, read beside whatever runs, and nothing is driven."""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from contract.messages import UNIT, Quality
from edge.bench.addresses import answering
from edge.bench.findings import Finding, broken, look, ok
from edge.bench.probes import taken_by_agent
from edge.bench.running import Running
from edge.config import BoardSettings
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.errors import HardwareError
from edge.hardware.ports import Hardware, PulseCounter, Sample
from edge.instruments import meaning

ROOT = Path("/")

# linux/gpio.h: GPIO_V2_GET_LINEINFO_IOCTL, struct gpio_v2_line_info (name, consumer, offset, attributes, flags, ...)
_LINE_INFO = 0xC100B405
_LINE = struct.Struct("32s32sIIQ")
_USED = 1
_I2C_SLAVE = 0x0703  # linux/i2c-dev.h
_I2C_ADDRESSES = range(0x08, 0x78)  # the others are reserved


def pins(board: BoardSettings, hardware: Hardware, runs: Running) -> Iterator[Finding]:
    """Whether each pin is ours: held by guard or agent that run, or free to be claimed. A claim drives nothing."""
    for valve in board.valve:
        name = f"GPIO {valve.pin} ({valve.channel})"
        if runs.guard:
            yield ok("pin", name, "pin-guard", pid=runs.guard_pid or "?")
        else:
            yield _free(name, valve.pin, hardware.valve)
    inputs = [(valve.meter.pin, f"{valve.channel}, meter") for valve in board.valve if valve.meter]
    inputs += [(board.rain_gauge.pin, "rain")] if board.rain_gauge else []
    for pin, what in inputs:
        name = f"GPIO {pin} ({what})"
        if runs.agent:
            yield ok("pin", name, "pin-agent")
        else:
            yield _free(name, pin, hardware.pulses)


def _free(name: str, pin: int, claim: object) -> Finding:
    try:
        claim(pin).close()  # type: ignore[operator]
    except HardwareError as exc:
        return broken("pin", name, "pin-taken", by=consumer(pin) or str(exc))
    return ok("pin", name, "pin-free")


def consumer(pin: int, dev: Path = Path("/dev")) -> str:
    """Return the name under which the kernel says that the pin is held; empty if it does not say."""
    for chip in sorted(dev.glob("gpiochip*")):
        with suppress(OSError), chip.open("rb") as file:
            answer = fcntl.ioctl(file, _LINE_INFO, struct.pack("64xI188x", pin))
            if held := held_by(answer):
                return held
    return ""


def held_by(line_info: bytes) -> str:
    """Return the consumer in a struct gpio_v2_line_info; empty for a line that is free."""
    _, name, _, _, flags = _LINE.unpack_from(line_info)
    return (name.rstrip(b"\0").decode(errors="replace") or "?") if flags & _USED else ""


def buses(board: BoardSettings, root: Path = ROOT) -> Iterator[Finding]:
    """What the kernel has of buses, and what answers on them."""
    if board.gpio.factory != "lgpio":
        return
    if any(probe.bus == "spi-0" for probe in board.probes):
        spi = root / "dev/spidev0.0"
        yield ok("bus", "SPI", "spi-there") if spi.exists() else broken("bus", "SPI", "spi-missing")
    for bus in sorted((root / "dev").glob("i2c-*")):
        yield _i2c(bus)
    ports = [path.name for name in ("ttyAMA*", "ttyUSB*", "ttyACM*", "ttyS0") for path in (root / "dev").glob(name)]
    if ports:
        yield ok("bus", "RS-485", "serial-there", ports=", ".join(sorted(ports)))
    one_wire = sorted(path.name for path in (root / "sys/bus/w1/devices").glob("[0-9a-f][0-9a-f]-*"))
    if one_wire:
        yield ok("bus", "1-Wire", "w1-found", devices=", ".join(one_wire))


def _i2c(bus: Path) -> Finding:
    found = []
    try:
        with bus.open("r+b", buffering=0) as file:
            for address in _I2C_ADDRESSES:
                fcntl.ioctl(file, _I2C_SLAVE, address)
                with suppress(OSError):  # nobody there
                    os.read(file.fileno(), 1)
                    found.append(f"0x{address:02x}")
    except OSError as exc:
        return look("bus", bus.name, "i2c-denied", why=exc.strerror or str(exc))
    return ok("bus", bus.name, "i2c-found", addresses=", ".join(found)) if found else ok("bus", bus.name, "i2c-empty")


def probes(board: BoardSettings, hardware: Hardware, runs: Running) -> Iterator[Finding]:
    """Each probe's raw value, what it means, and how far it can be believed."""
    for probe in board.probes:
        if taken_by_agent(probe, runs):
            yield ok("sensor", probe.sensor, "probe-agent", bus=probe.bus)
            continue
        try:
            samples = probe.open(hardware).read()
        except HardwareError as exc:
            yield broken("sensor", probe.sensor, "probe-silent", why=str(exc), bus=probe.bus)
            if others := answering(probe, hardware):
                yield look("bus", probe.bus, "addresses", addresses=", ".join(others))
            continue
        yield from (_judged(probe, sample) for sample in samples)


def _judged(probe: ProbeSettings, sample: Sample) -> Finding:
    value, quality, reason = meaning(probe, sample)
    params: dict[str, float | str] = {
        "raw": round(sample.raw, 4),
        "value": round(value, 1),
        "unit": UNIT[sample.quantity],
    }
    if reason in {"open-circuit", "short-circuit"}:
        return broken("sensor", probe.sensor, f"probe-{reason}", **params)
    if reason == "clamped":
        return look("sensor", probe.sensor, "probe-outside", **params)
    if quality is Quality.GOOD:
        return ok("sensor", probe.sensor, "measured", **params)
    return look("sensor", probe.sensor, "probe-doubted", reason=reason or quality.value, **params)


def meters(
    board: BoardSettings, hardware: Hardware, runs: Running, counted: dict[str, float], listen_s: float
) -> Iterator[Finding]:
    """What the meters count in `listen_s`, or what the agent, which holds them, has counted."""
    wired = {valve.channel: valve.meter for valve in board.valve if valve.meter is not None}
    if runs.agent:
        for channel in wired:
            yield ok("meter", channel, "meter-total", litres=round(counted.get(channel, 0.0), 1))
        return
    counters: dict[str, PulseCounter] = {}
    for channel, meter in wired.items():
        with suppress(HardwareError):  # told as a pin
            counters[channel] = hardware.pulses(meter.pin, chip=meter.chip, debounce_us=meter.debounce_us)
    until_s = monotonic() + listen_s
    while counters and monotonic() < until_s:
        sleep(0.05)
    for channel, counter in counters.items():
        pulses = counter.count()
        counter.close()
        if pulses:
            flow = pulses / wired[channel].pulses_per_litre / listen_s * 60
            yield ok("meter", channel, "meter-counts", pulses=pulses, seconds=listen_s, flow=round(flow, 1))
        else:
            yield ok("meter", channel, "meter-still", seconds=listen_s)
