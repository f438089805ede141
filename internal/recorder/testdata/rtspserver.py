"""An RTSP server that nobody here wrote: GStreamer's, playing one file to each client.

Usage: rtspserver.py FILE.mkv; prints the port, and serves rtsp://127.0.0.1:PORT/file until it is killed.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( filesrc location=%s ! matroskademux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )" % sys.argv[1]
)
server.get_mount_points().add_factory("/file", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
