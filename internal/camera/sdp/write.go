package sdp

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Write returns a description of the chosen tracks, the video before the audio, with these control URLs. Strict readers accept it.
// Where nothing can be played, it has a dummy track, as they require one.
func (c Choice) Write(videoControl, audioControl string) []byte {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n")
	if c.Video == nil {
		b.WriteString("m=application 0 RTP/AVP 127\r\na=rtpmap:127 NONE/90000\r\n")
	} else {
		c.Video.write(&b, "video", videoControl)
	}
	if c.Audio != nil {
		c.Audio.write(&b, "audio", audioControl)
	}
	return []byte(b.String())
}

func (c *Chosen) write(b *strings.Builder, kind, control string) {
	profile := "RTP/AVP"
	if c.Secure {
		profile = "RTP/SAVP"
	}
	fmt.Fprintf(b, "m=%s 0 %s %d", kind, profile, c.PayloadType)
	for _, f := range c.Others {
		fmt.Fprintf(b, " %d", f.PayloadType)
	}
	b.WriteString("\r\n")
	if c.Secure && c.KeyMgmt != "" {
		fmt.Fprintf(b, "a=key-mgmt:mikey %s\r\n", c.KeyMgmt)
	}
	c.Format.write(b)
	for _, f := range c.Others {
		f.write(b)
	}
	if control != "" {
		fmt.Fprintf(b, "a=control:%s\r\n", control)
	}
}

// write writes the attributes of the format. The clock of video is always 90 kHz, the only one that readers know.
// They need not know the format of audio.
func (f Format) write(b *strings.Builder) {
	line := func(text string, args ...any) { fmt.Fprintf(b, text+"\r\n", append([]any{f.PayloadType}, args...)...) }
	if f.Codec == MPEGTS {
		line("a=rtpmap:%d MP2T/%d", videoClock)
		return
	}
	if f.Codec != H264 && f.Codec != H265 {
		line("a=rtpmap:%d NONE/%d", max(f.Clock, 1))
		return
	}
	line("a=rtpmap:%d %s/%d", f.Codec, videoClock)
	if p := f.setsParameters(); len(p) > 0 {
		line("a=fmtp:%d %s", strings.Join(p, ";"))
	}
}

// setsParameters returns the fmtp parameters with parameter sets.
func (f Format) setsParameters() []string {
	encode := base64.StdEncoding.EncodeToString
	byType := make(map[byte]string)
	for _, set := range f.ParameterSets() {
		if kind := f.setKind(set); byType[kind] == "" && libraryReads(kind, set) {
			byType[kind] = encode(set)
		}
	}
	if f.Codec == H264 {
		if byType[sps264] == "" || byType[pps264] == "" {
			return nil
		}
		return []string{"packetization-mode=1", "sprop-parameter-sets=" + byType[sps264] + "," + byType[pps264]}
	}
	var list []string
	for kind, name := range map[byte]string{vps265: "sprop-vps", sps265: "sprop-sps", pps265: "sprop-pps"} {
		if byType[kind] != "" {
			list = append(list, name+"="+byType[kind])
		}
	}
	return list
}

// libraryReads reports whether the RTSP library reads a parameter set to its end: it may refuse the description of others.
func libraryReads(kind byte, set []byte) bool {
	switch kind {
	case sps264:
		return new(h264.SPS).Unmarshal(set) == nil
	case sps265:
		return new(h265.SPS).Unmarshal(set) == nil
	case pps265:
		return new(h265.PPS).Unmarshal(set) == nil
	}
	return true
}
