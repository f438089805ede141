"""An RTSP server that nobody here wrote: GStreamer's, playing one file to each client.

Usage: rtspserver.py FILE.mkv [h264|h265] [aac|pcmu|none] [mpegts] [tls=CERTIFICATE.pem] [srtp] [udp-only]
Prints the port, and serves rtsp://127.0.0.1:PORT/file until it is killed.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

file, options = sys.argv[1], sys.argv[2:]
codec = "h265" if "h265" in options else "h264"
tls = next((o[4:] for o in options if o.startswith("tls=")), None)

video = "d. ! queue ! %sparse config-interval=-1 ! rtp%spay name=pay0 pt=96" % (codec, codec)
audio = ""
if "aac" in options:
    audio = "d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"
if "pcmu" in options:
    audio = "d. ! queue ! rtppcmupay name=pay1 pt=0"
if "mpegts" in options:  # both in one stream
    video = "mpegtsmux name=m ! rtpmp2tpay name=pay0 pt=33 d. ! queue ! %sparse config-interval=-1 ! m." % codec
    audio = "d. ! queue ! aacparse ! m." if "aac" in options else ""

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
if tls:
    auth = GstRtspServer.RTSPAuth()
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(tls))
    # Whoever speaks TLS may play.
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "anyone")
    auth.set_default_token(token)
    server.set_auth(auth)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( filesrc location=%s ! matroskademux name=d %s %s )" % (file, video, audio))
if "udp-only" in options:
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
if "srtp" in options:
    factory.set_profiles(GstRtsp.RTSPProfile.SAVP)
if tls:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("anyone", "media.factory.access", True)
    permissions.add_permission_for_role("anyone", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/file", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
