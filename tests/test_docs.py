"""The documents against the code: nothing undocumented, nothing stale, no dead link."""

import ast
import importlib
import inspect
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pipeline import config
from pipeline.cli.app import app
from pipeline.config.file import load_config
from pipeline.config.sinks.kafka import KafkaCreateConfig
from pipeline.config.sinks.tls import TlsConfig as SinkTlsConfig
from pipeline.core import errors, message_events, message_parts, messages

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "configs/*.md", "detectors/**/*.md", "tests/**/*.md")
    for page in ROOT.glob(pattern)
)
SCHEMA_FILE = ROOT / "docs/schema/eyrie.detections-1.json"

MESSAGES: dict[str, type[BaseModel]] = {
    "Every message": message_parts.Envelope,
    "frame": messages.FrameMessage,
    "track_end": messages.TrackEndMessage,
    "event": messages.EventMessage,
    "event: line_cross": messages.LineCrossMessage,
    "event: zone_enter": messages.ZoneEnterMessage,
    "event: zone_exit": messages.ZoneExitMessage,
    "event: dwell": messages.DwellMessage,
    "event: loitering": messages.LoiteringMessage,
    "event: stopped": messages.StoppedMessage,
    "event: direction_violation": messages.DirectionViolationMessage,
    "event: occupancy": messages.OccupancyMessage,
    "event: overcrowding": messages.OvercrowdingMessage,
    "event: interval_counts": messages.IntervalCountsMessage,
    "event.evidence[]": messages.Evidence,
    "stream_status": messages.StreamStatusMessage,
    "stream_status.heartbeat": messages.Heartbeat,
    "end_of_stream": messages.EndOfStreamMessage,
    "producer": messages.Producer,
    "producer.model": messages.Model,
    "detections[]": messages.Detection,
    "detections[].plane": messages.PlanePoint,
}
"""Heading in docs/messages.md -> the model whose fields its table lists."""

SECTIONS: dict[str, type[BaseModel]] = {
    "The top level": config.PipelineConfig,
    "streams[]": config.StreamConfig,
    "streams[].source, kind: file": config.FileSourceConfig,
    "streams[].source, kind: files": config.FolderSourceConfig,
    "streams[].source, kind: images": config.ImagesSourceConfig,
    "streams[].source, kind: rtsp": config.RtspSourceConfig,
    "streams[].source, kind: watch": config.WatchSourceConfig,
    "streams[].source, kind: http": config.HttpSourceConfig,
    "streams[].source, kind: webcam": config.WebcamSourceConfig,
    "streams[].source, kind: stdin": config.StdinSourceConfig,
    "streams[].source.start_time": config.StartTimeConfig,
    "streams[].source.tls": config.TlsConfig,
    "streams[].source, kind: street": config.StreetSourceConfig,
    "streams[].health": config.HealthConfig,
    "streams[].chaos": config.ChaosConfig,
    "streams[].lines[]": config.LineConfig,
    "streams[].zones[]": config.ZoneConfig,
    "streams[].zones[], dwell": config.DwellConfig,
    "streams[].zones[], loitering": config.LoiteringConfig,
    "streams[].zones[], stopped": config.StoppedConfig,
    "streams[].zones[], direction": config.DirectionConfig,
    "streams[].zones[], occupancy": config.OccupancyConfig,
    "streams[].zones[], limit": config.LimitConfig,
    "streams[].masks[]": config.MaskConfig,
    "when, of lines and zones": config.ScheduleConfig,
    "streams[].evidence": config.StreamEvidenceConfig,
    "evidence": config.EvidenceConfig,
    "evidence.snapshot": config.SnapshotConfig,
    "evidence.clip": config.ClipConfig,
    "evidence.keep": config.KeepConfig,
    "streams[].plane": config.PlaneConfig,
    "streams[].plane.points[]": config.PlanePointConfig,
    "streams[].plane.geo": config.GeoConfig,
    "motion_gate": config.MotionGateConfig,
    "model": config.ModelConfig,
    "batch": config.BatchConfig,
    "tracking": config.TrackingConfig,
    "tracking.appearance": config.AppearanceConfig,
    "sinks[], every kind": config.SinkSection,
    "sinks[], over a network": config.SpooledSection,
    "sinks[].spool": config.OwnSpoolConfig,
    "spool": config.SpoolConfig,
    "sinks[].only": config.OnlyConfig,
    "sinks[], kind: jsonl": config.JsonLinesSinkConfig,
    "sinks[], kind: parquet": config.ParquetSinkConfig,
    "sinks[], kind: kafka": config.KafkaSinkConfig,
    "sinks[].create": KafkaCreateConfig,
    "sinks[].tls": SinkTlsConfig,
    "sinks[], kind: redis": config.RedisSinkConfig,
    "sinks[], kind: mqtt": config.MqttSinkConfig,
    "sinks[], kind: webhook": config.WebhookSinkConfig,
    "sinks[], kind: video": config.VideoSinkConfig,
    "sinks[], kind: heatmap": config.HeatmapSinkConfig,
    "sinks[], kind: trajectories": config.TrajectoriesSinkConfig,
}
"""Heading in configs/README.md -> the section whose keys its table lists."""


def plain(heading: str) -> str:
    return heading.replace("`", "").strip()


def sections(page: Path) -> dict[str, str]:
    """The text under each heading, up to the next heading of any level."""
    parts = re.split(r"^#{1,6} (.+)$", prose(page), flags=re.MULTILINE)
    return {plain(head): body for head, body in zip(parts[1::2], parts[2::2], strict=True)}


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def fences(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads and rules."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", line)]
    heads = {i - 1 for i in rules}
    kept = [line for i, line in enumerate(lines) if i not in rules and i not in heads]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in kept]


def known_sections(module: Any, *, but: set[str]) -> set[type[BaseModel]]:
    within = pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}.")
    parts = [importlib.import_module(entry.name) for entry in within]
    return {
        found
        for part in parts or [module]
        for name, found in vars(part).items()
        if isinstance(found, type)
        and issubclass(found, BaseModel)
        and found.__module__ == part.__name__
        and name not in but
    }


def own_fields(model: type[BaseModel], shared: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by their name in JSON: those of `shared` only where the model gives them anew."""
    return {
        field.alias or name: field
        for name, field in model.model_fields.items()
        if model is shared
        or name not in shared.model_fields
        or name in inspect.get_annotations(model)
    }


def default(field: FieldInfo) -> str:
    """A default as configs/README.md writes it."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if value in (None, ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_message_model_is_documented() -> None:
    bases = {"Part", "OtherMessage", "ZoneTrackMessage", "StayMessage", "CrowdMessage"}
    parts = (messages, message_events, message_parts)
    found = set[type[BaseModel]]().union(*(known_sections(part, but=bases) for part in parts))
    assert found == set(MESSAGES.values())


@pytest.mark.parametrize("heading", MESSAGES)
def test_message_fields_are_those_of_the_model(heading: str) -> None:
    model = MESSAGES[heading]
    of_event = issubclass(model, messages.EventMessage) and model is not messages.EventMessage
    shared = messages.EventMessage if of_event else message_parts.Envelope
    table = rows(sections(ROOT / "docs/messages.md")[heading])
    assert {plain(row[0]) for row in table} == set(own_fields(model, shared))
    assert all(all(row) for row in table)


def test_every_config_section_is_documented() -> None:
    bases = {"Section", "ReconnectedConfig", "RegionSection", "AreaSection", "StayConfig"}
    assert known_sections(config, but=bases) == set(SECTIONS.values())


@pytest.mark.parametrize("heading", SECTIONS)
def test_config_keys_and_defaults_are_those_of_the_section(heading: str) -> None:
    section = SECTIONS[heading]
    spooled = issubclass(section, config.SpooledSection) and section is not config.SpooledSection
    fields = own_fields(section, config.SpooledSection if spooled else config.SinkSection)
    table = rows(sections(ROOT / "configs/README.md")[heading])
    written = {plain(row[0]): row[2] for row in table}
    assert written == {name: default(field) for name, field in fields.items()}
    assert all(all(row) for row in table)


def commands() -> dict[str, Any]:
    """Every command by its words: `run`, `model train`."""
    found: dict[str, Any] = {}
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in below.items()} if below else {name: command}
    return found


def manual() -> dict[str, str]:
    """The sections of the pages that describe commands."""
    return sections(ROOT / "docs/cli.md") | sections(ROOT / "docs/model.md")


def options(command: str) -> set[str]:
    """The long options of a command; what is no option is its arguments in capitals."""
    return {
        max(param.opts, key=len) if param.param_type_name == "option" else param.name.upper()
        for param in commands()[command].params
        if param.name != "help"
    }


def test_every_command_is_documented() -> None:
    headings = {head for head in manual() if head.startswith("eyrie ")}
    assert headings == {f"eyrie {name}" for name in commands()}


@pytest.mark.parametrize("command", commands())
def test_command_options_are_documented(command: str) -> None:
    table = rows(manual()[f"eyrie {command}"])
    written = {re.findall(r"--[a-z0-9-]+|[A-Z_]{2,}", row[0])[0] for row in table}
    assert written == options(command)


def shell_lines() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for block in fences(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                yield page, line


@pytest.mark.parametrize(
    ("page", "line"), [(p, ln) for p, ln in shell_lines() if ln.startswith("eyrie ")]
)
def test_commands_in_documents_exist(page: Path, line: str) -> None:
    command, *rest = shlex.split(line, comments=True)[1:]
    if command in ("model", "spool", "tracks"):
        command, *rest = f"{command} {rest[0]}", *rest[1:]
    if command == "--version":
        return
    used = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert used <= options(command), f"{page.name}: {line}"


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {m for p in PAGES for m in re.findall(r"`make ([a-z]+)`", p.read_text())}
    used |= {m for _, line in shell_lines() for m in re.findall(r"\bmake ([a-z]+)", line)}
    assert used
    assert used <= targets


def test_layers_in_architecture_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    assert "\n".join(layers) + "\n" in fences(ROOT / "ARCHITECTURE.md", "text")


def test_error_tree_in_architecture_is_whole() -> None:
    drawn = next(b for b in fences(ROOT / "ARCHITECTURE.md", "text") if b.startswith("EyrieError"))
    assert set(re.findall(r"^[│├└─ ]*(\w+)", drawn, re.MULTILINE)) == {
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.EyrieError)
    }


def test_glossary_explains_every_word_once() -> None:
    table = rows(prose(ROOT / "docs/glossary.md"))
    words = [word.strip() for row in table for word in plain(row[0]).split(",")]
    assert len(words) == len(set(words)) >= 30
    assert all(len(row) == 2 and row[1] for row in table)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_no_placeholder_is_left() -> None:
    assert [page.name for page in PAGES if "{{" in page.read_text()] == []


def slug(heading: str) -> str:
    """The anchor that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", plain(heading).lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in {slug(head) for head in sections(target)}, link


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in fences(page, "python")]
)
def test_python_in_documents_compiles_and_its_imports_exist(page: Path, code: str) -> None:
    tree = ast.parse(code, page.name)
    compile(tree, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)


@pytest.mark.parametrize("preset", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_presets_are_valid(preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"\$\{(\w+)\}", preset.read_text()):
        monkeypatch.setenv(name, "a-secret-of-some-length")
    assert load_config(preset).streams
    assert f"`{preset.name}`" in (ROOT / "configs/README.md").read_text()


@pytest.mark.parametrize(
    "block", [b for page in PAGES for b in fences(page, "yaml") if b.startswith("streams:")]
)
def test_configurations_in_documents_are_valid(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", block):
        monkeypatch.setenv(name, "a-secret-of-some-length")
    path = tmp_path / "config.yaml"
    path.write_text(block)
    assert load_config(path).sinks


@pytest.mark.parametrize(
    "body", [body for page in PAGES for body in fences(page, "json") if '"kind"' in body]
)
def test_messages_in_documents_are_valid(body: str) -> None:
    assert messages.decode(body).kind in body


def test_schema_file_is_current() -> None:
    """Made by `eyrie schema > docs/schema/eyrie.detections-1.json`."""
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert SCHEMA_FILE.read_text() == result.stdout
