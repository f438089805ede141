package hls

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Playlist is a playlist as text.
type Playlist struct {
	Text []byte
	// LeftOut is the codec of audio that is not in the media, as browsers do not play it in MP4; "" for none.
	LeftOut string
}

// The parameters in the addresses of a playlist, which are relative: a playlist can be served from anywhere.
const (
	ParamStream  = "stream"
	ParamSegment = "segment"
	ParamStart   = "start"
	ParamEnd     = "end"
	ParamTracks  = "tracks"
	ParamFrom    = "from"
	ParamTo      = "to"
)

// The names of the resources of a stream, beside each other.
const (
	NameMaster = "master.m3u8"
	NameMedia  = "media.m3u8"
	NameInit   = "init.mp4"
	NamePart   = "media.mp4"
	NameFrame  = "keyframe.mp4"
)

// Master returns the playlist that has the codecs and the size of the picture, and refers to the one that lists the media.
func (p *Player) Master(ctx context.Context, s Span) (out Playlist, err error) {
	values := url.Values{ParamStream: {s.Stream}}
	var list []segment.Info
	if s.Live() {
		newest, _, err := p.newest(ctx, s.Stream)
		if err != nil {
			return out, err
		}
		list = []segment.Info{newest}
	} else {
		if s, err = p.span(s); err != nil {
			return out, err
		}
		values.Set(ParamFrom, strconv.FormatInt(s.From.UnixMilli(), 10))
		values.Set(ParamTo, strconv.FormatInt(s.To.UnixMilli(), 10))
		if list, err = p.recordings(s); err != nil {
			return out, err
		}
	}
	return p.master(ctx, list, values)
}

// master describes the recordings of a playlist by the first and the last one that can be read: others seldom differ, and all take long to
// open.
func (p *Player) master(ctx context.Context, list []segment.Info, values url.Values) (out Playlist, err error) {
	var codecs []string
	width, height, rate := 0, 0, int64(0)
	ends, unread := p.ends(ctx, list)
	for _, info := range ends {
		x, err := p.index(ctx, info)
		if err != nil {
			return out, gone(err)
		}
		codecs = addCodecs(codecs, x.codecs)
		if width == 0 {
			width, height = x.size()
		}
		rate = max(rate, x.rate(info))
		out.LeftOut = x.leftOut
	}
	if width == 0 && unread != nil {
		return out, gone(unread)
	}
	if width == 0 {
		return out, missing("nothing that can be played was recorded in that time")
	}
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	out.sayLeftOut(&b)
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%dx%d\n%s?%s\n", rate, strings.Join(codecs, ","),
		width, height, NameMedia, values.Encode())
	out.Text = b.Bytes()
	return out, nil
}

// ends returns the first and the last one of recordings that can be played, and why others cannot be read.
func (p *Player) ends(ctx context.Context, list []segment.Info) (ends []segment.Info, unread error) {
	last := -1
	playable := func(i int) bool {
		x, err := p.index(ctx, list[i])
		if err != nil {
			unread = err
		}
		return err == nil && len(x.points) > 0
	}
	for i := 0; i < len(list) && len(ends) == 0 && ctx.Err() == nil; i++ {
		if playable(i) {
			ends, last = append(ends, list[i]), i
		}
	}
	for i := len(list) - 1; i > last && len(ends) == 1 && ctx.Err() == nil; i-- {
		if playable(i) {
			ends = append(ends, list[i])
		}
	}
	return ends, unread
}

// sayLeftOut says in a comment which audio is missing.
func (out Playlist) sayLeftOut(b *bytes.Buffer) {
	if out.LeftOut != "" {
		fmt.Fprintf(b, "# silent: browsers do not play audio of %s in MP4\n", strconv.QuoteToASCII(out.LeftOut))
	}
}

// size returns how large the picture is shown.
func (p played) size() (width, height int) {
	if s := p.video.Picture; s.DisplayWidth > 0 && s.DisplayHeight > 0 {
		return s.DisplayWidth, s.DisplayHeight
	}
	return p.video.Width, p.video.Height
}

// rate returns the highest rate of a recording, in bits per second, over the distance of keyframes in different clusters.
func (x *index) rate(info segment.Info) (highest int64) {
	perSecond := func(size int64, length time.Duration) int64 {
		return int64(float64(size) * 8 / max(length, time.Second).Seconds())
	}
	last := x.points[0]
	for _, point := range x.points[1:] {
		if point.Cluster != last.Cluster {
			highest = max(highest, perSecond(point.Cluster-last.Cluster, point.Time-last.Time))
			last = point
		}
	}
	if rest := info.End.Sub(info.StartTime()) - last.Time; info.Bytes > last.Cluster {
		highest = max(highest, perSecond(info.Bytes-last.Cluster, rest))
	}
	return max(highest, 1)
}

// Media returns the playlist of the media of a span.
func (p *Player) Media(ctx context.Context, s Span) (out Playlist, err error) {
	if s.Live() {
		return p.liveMedia(ctx, s.Stream)
	}
	if s, err = p.span(s); err != nil {
		return out, err
	}
	list, err := p.partsOf(ctx, s)
	if err != nil {
		return out, err
	}
	out.LeftOut = list[0].leftOut
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	out.sayLeftOut(&b)
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n", target(list))
	var w entries
	for _, g := range list {
		w.add(&b, g, g.key)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	out.Text = b.Bytes()
	return out, nil
}

// target returns the target duration, in whole seconds.
func target(list []part) int {
	most := longest
	for _, g := range list {
		most = max(most, g.length)
	}
	return int(math.Ceil(most.Seconds()))
}

// entries writes the entries of a playlist.
type entries struct {
	last  part
	began bool
}

// add writes an entry, and what distinguishes it from the previous one. The tracks of its recording are described as those of
// another one, which has the same.
func (w *entries) add(b *bytes.Buffer, g part, tracks segment.Key) {
	const date = "2006-01-02T15:04:05.000Z"
	values := url.Values{ParamStream: {g.key.Stream}}
	if g.broken && w.began {
		b.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	if !w.began || g.sum != w.last.sum {
		values.Set(ParamSegment, tracks.ID().String())
		values.Set(ParamTracks, strconv.FormatUint(uint64(g.sum), 16))
		fmt.Fprintf(b, "#EXT-X-MAP:URI=\"%s?%s\"\n", NameInit, values.Encode())
		values.Del(ParamTracks)
	}
	if !w.began || g.broken || g.key != w.last.key {
		fmt.Fprintf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", g.recorded.UTC().Format(date))
	}
	values.Set(ParamSegment, g.key.ID().String())
	values.Set(ParamStart, strconv.FormatInt(g.from.Milliseconds(), 10))
	if g.to != UntilEnd {
		values.Set(ParamEnd, strconv.FormatInt(g.to.Milliseconds(), 10))
	}
	fmt.Fprintf(b, "#EXTINF:%.3f,\n%s?%s\n", g.length.Seconds(), NamePart, values.Encode())
	w.last, w.began = g, true
}
