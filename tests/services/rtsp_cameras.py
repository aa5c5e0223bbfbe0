#!/usr/bin/python3
# mypy: ignore-errors
# ruff: noqa: T201 - a program of its own
"""Cameras over RTSP that tests can turn into other cameras; run by the system's Python, for `gi`.

    rtsp_cameras.py --port P [--address A] [--user U --password W --auth basic|digest]
                    [--tls CERTIFICATE KEY] [--orders FILE] NAME=CLIP.mp4 ...

Each clip, H.264 or HEVC, with or without B-frames, loops at rtsp://A:P/NAME with times that go on.
Says "ready" when it listens, and "zero N" when a media starts: its stream time 0 is N nanoseconds
after 1970 by the server's clock. Obeys each line that comes into FILE, and says "done N":

    switch NAME CLIP    from its next picture on, the running media plays another clip
    replace NAME CLIP   the camera restarts with another clip: its clients are thrown out
"""

import argparse
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gio, GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401

ROLE = "viewer"


class Clip:
    """The encoded pictures of a file: (bytes, is_delta, pts_ns, dts_ns), times from 0."""

    def __init__(self, path):
        head = Path(path).read_bytes()
        self.codec = "h265" if b"hvc1" in head or b"hev1" in head else "h264"
        self.units, self.caps = self._read(path)
        if not self.units:
            raise SystemExit(f"{path}: neither H.264 nor HEVC in MP4")
        first_ns = min(unit[3] for unit in self.units)
        self.units = [(d, delta, p - first_ns, t - first_ns) for d, delta, p, t in self.units]
        self.step_ns = (self.units[-1][3] - self.units[0][3]) // max(1, len(self.units) - 1)
        self.length_ns = self.step_ns * len(self.units)

    def _read(self, path):
        pipeline = Gst.parse_launch(
            f'filesrc location="{path}" ! qtdemux ! {self.codec}parse config-interval=-1 ! '
            f"video/x-{self.codec},stream-format=byte-stream,alignment=au ! "
            "appsink name=s sync=false"
        )
        sink = pipeline.get_by_name("s")
        pipeline.set_state(Gst.State.PLAYING)
        units, caps = [], None
        while (sample := sink.emit("pull-sample")) is not None:
            caps, data = sample.get_caps(), sample.get_buffer()
            delta = data.has_flags(Gst.BufferFlags.DELTA_UNIT)
            dts = data.dts if data.dts != Gst.CLOCK_TIME_NONE else data.pts
            units.append((data.extract_dup(0, data.get_size()), delta, data.pts, dts))
        pipeline.set_state(Gst.State.NULL)
        return units, caps


class Camera(GstRtspServer.RTSPMediaFactory):
    """One live media that all clients share; it begins anew when the last of them has left."""

    def __init__(self, clip, locked):
        super().__init__()
        self.clip = clip
        self.set_shared(True)
        codec = clip.codec
        self.set_launch(
            f"( appsrc name=src is-live=true format=time max-bytes=4000000 ! "
            f"{codec}parse config-interval=-1 ! "
            f"rtp{codec}pay name=pay0 pt=96 config-interval=-1 )"
        )
        if locked:
            permissions = GstRtspServer.RTSPPermissions.new()
            permissions.add_permission_for_role(ROLE, "media.factory.access", True)
            permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
            self.set_permissions(permissions)
        self.connect("media-configure", lambda _factory, media: Playing(self, media))


class Playing:
    """Pushes the pictures of a camera's clip when they are due."""

    def __init__(self, camera, media):
        self.camera, self.clip = camera, camera.clip
        self.place = self.base_ns = 0
        self.began_s = self.timer = None
        self.source = media.get_element().get_by_name_recurse_up("src")
        self.source.set_property("caps", self.clip.caps)
        self.source.connect("need-data", self.start)
        media.connect("unprepared", self.stop)

    def start(self, *_):
        if self.timer is None:
            self.began_s = time.monotonic()
            print(f"zero {self.zero_ns()}", flush=True)
            self.timer = GLib.timeout_add(5, self.push)

    def zero_ns(self):
        """Wall time of stream time 0, as the sender reports tell it."""
        element = self.source
        running_ns = element.get_clock().get_time() - element.get_base_time()
        return time.time_ns() - running_ns

    def stop(self, *_):
        if self.timer:
            GLib.source_remove(self.timer)
        self.timer = 0

    def push(self):
        now_ns = (time.monotonic() - self.began_s) * 1e9
        while self.base_ns + self.place * self.clip.step_ns <= now_ns:
            if self.camera.clip is not self.clip:
                self.base_ns += self.place * self.clip.step_ns
                self.clip, self.place = self.camera.clip, 0
                self.source.set_property("caps", self.clip.caps)
            data, delta, pts_ns, dts_ns = self.clip.units[self.place]
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts, buffer.dts = self.base_ns + pts_ns, self.base_ns + dts_ns
            buffer.duration = self.clip.step_ns
            if delta:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            self.place += 1
            if self.place == len(self.clip.units):
                self.place, self.base_ns = 0, self.base_ns + self.clip.length_ns
            if self.source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                self.timer = 0
                return False
        return True


class Site:
    """The server, its cameras, and the orders that it gets."""

    def __init__(self, arguments):
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address(arguments.address)
        self.server.set_service(arguments.port)
        self.locked = bool(arguments.user or arguments.tls)
        if self.locked:
            self.server.set_auth(self._auth(arguments))
        self.cameras = {}
        for text in arguments.cameras:
            name, _, path = text.partition("=")
            self.mount(name, path)
        self.server.attach(None)
        self.orders, self.obeyed = arguments.orders, 0
        if self.orders:
            GLib.timeout_add(50, self.look)

    def look(self):
        lines = self.orders.read_text().splitlines() if self.orders.exists() else []
        for line in lines[self.obeyed :]:
            self.obey(line)
            self.obeyed += 1
            print(f"done {self.obeyed}", flush=True)
        return True

    def mount(self, name, path):
        self.cameras[name] = Camera(Clip(path), self.locked)
        self.server.get_mount_points().add_factory(f"/{name}", self.cameras[name])

    def obey(self, line):
        order, name, path = line.split()
        if order == "switch":
            self.cameras[name].clip = Clip(path)
        else:
            self.mount(name, path)
            self.server.client_filter(lambda _s, _c: GstRtspServer.RTSPFilterResult.REMOVE)

    def _auth(self, arguments):
        auth = GstRtspServer.RTSPAuth()
        if arguments.tls:
            certificate, key = arguments.tls
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(certificate, key))
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        if arguments.auth == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(arguments.user, arguments.password, token)
        elif arguments.user:
            basic = GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password)
            auth.add_basic(basic, token)
        else:
            auth.set_default_token(token)
        return auth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", default="basic")
    parser.add_argument("--tls", nargs=2, type=Path)
    parser.add_argument("--orders", type=Path)
    parser.add_argument("cameras", nargs="+")
    arguments = parser.parse_args()
    if arguments.tls:
        arguments.tls = [str(path) for path in arguments.tls]
    Gst.init(None)
    site = Site(arguments)  # noqa: F841 - GLib keeps no reference
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
