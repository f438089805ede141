package playcheck

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// A sequence and a picture parameter set, in NAL units.
var (
	sps = []byte{0x67, 0x64, 0x00, 0x1E, 0xAC, 0xD9, 0x40, 0xA0, 0x3D, 0xB0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00,
		0x32, 0x0F, 0x16, 0x2D, 0x96}
	pps  = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
	avcC = slices.Concat([]byte{1, sps[1], sps[2], sps[3], 0xFF, 0xE1, 0, byte(len(sps))}, sps, []byte{1, 0, byte(len(pps))}, pps)
	idr  = []byte{0x65, 1, 2, 3}
	p    = []byte{0x41, 1, 2, 3}
	// A recovery point behind a message of another type.
	recovery = []byte{0x06, 5, 2, 9, 9, 6, 1, 0x80, 0x80}
)

func units(list ...[]byte) (data []byte) {
	for _, u := range list {
		data = append(append(data, 0, 0, 0, byte(len(u))), u...)
	}
	return data
}

// good is a fragment of a second that breaks no rule.
type good struct {
	*part
	video, audio *strictmkv.Track
}

const startOfTime = 1e9 * time.Second

func newGood() good {
	h := &strictmkv.Header{Tracks: []strictmkv.Track{
		{Number: 1, Type: strictmkv.TypeVideo, CodecID: strictmkv.CodecAVC, CodecPrivate: avcC},
		{Number: 2, Type: strictmkv.TypeAudio, CodecID: strictmkv.CodecAAC, CodecPrivate: []byte{0x11, 0x90}},
	}}
	before := &strictmkv.Header{Tracks: slices.Clone(h.Tracks)}
	g := good{&part{header: h, before: before, start: startOfTime, next: startOfTime + time.Second}, &h.Tracks[0], &h.Tracks[1]}
	for i := range 25 {
		g.add(g.video, time.Duration(i)*40*time.Millisecond, i == 0, map[bool][]byte{true: units(sps, pps, idr), false: units(p)}[i == 0])
		g.add(g.audio, time.Duration(i)*40*time.Millisecond, true, []byte{1})
	}
	return g
}

func (g good) add(track *strictmkv.Track, at time.Duration, key bool, data []byte) {
	f := frame{track: track, time: g.start + at, flagged: key}
	if track.Type == strictmkv.TypeVideo {
		f.read(data)
	}
	g.frames = append(g.frames, f)
}

// first replaces the picture with which the fragment begins.
func (g good) first(key bool, data []byte) {
	f := frame{track: g.video, time: g.start, flagged: key}
	f.read(data)
	g.frames[0] = f
}

// TestRules plants a fault for each rule, which that rule finds, and no other one does.
func TestRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range []struct {
		name, rule string // "" = none is broken
		plant      func(good)
	}{
		{"as it is", "", func(good) {}},
		{"a recovery point in place of an IDR picture", "", func(g good) { g.first(true, units(recovery, p)) }},
		{"G.711", Tracks, func(g good) {
			g.audio.CodecID, g.before.Tracks[1].CodecID = strictmkv.CodecACM, strictmkv.CodecACM
		}},
		{"another codec", Tracks, func(g good) {
			g.audio.CodecID = "A_OPUS"
			g.before = nil
		}},
		{"audio first", Tracks, func(g good) {
			slices.Reverse(g.header.Tracks)
			slices.Reverse(g.before.Tracks)
			for i := range g.frames {
				g.frames[i].track = map[uint64]*strictmkv.Track{1: g.audio, 2: g.video}[g.frames[i].track.Number]
			}
		}},
		{"other numbers", Tracks, func(g good) { g.audio.Number, g.before.Tracks[1].Number = 3, 3 }},
		{"no codec private data", Private, func(g good) { g.audio.CodecPrivate, g.before.Tracks[1].CodecPrivate = nil, nil }},
		{"codec private data of another codec", Private, func(g good) {
			g.audio.CodecPrivate, g.before.Tracks[1].CodecPrivate = []byte{0}, []byte{0}
		}},
		{"other codec private data than before", Constant, func(g good) { g.before.Tracks[1].CodecPrivate = []byte{0x12, 0x10} }},
		{"fewer tracks before", Constant, func(g good) { g.before.Tracks = g.before.Tracks[:1] }},
		{"another picture first", FirstFrame, func(g good) { g.first(false, units(p)) }},
		{"no picture to begin with", FirstFrame, func(g good) { g.first(true, units(p)) }},
		{"a NAL unit that is cut", Whole, func(g good) { g.first(true, units(idr, p)[:10]) }},
		{"no picture at all", Whole, func(g good) {
			g.frames = slices.DeleteFunc(g.frames, func(f frame) bool { return f.track.Number == 1 })
		}},
		{"another sequence parameter set", SameSets, func(g good) { g.first(true, units(append([]byte{0x67, 0x42}, 9), pps, idr)) }},
		{"two pictures at one time", Order, func(g good) { g.frames[4].time = g.frames[2].time }},
		{"audio that turns back", Order, func(g good) { g.frames[5].time = g.frames[3].time - time.Millisecond }},
		{"a picture before its fragment", Order, func(g good) { g.frames[2].time = g.start - time.Millisecond }},
		{"21 s", Length, func(g good) { g.frames[48].time, g.next = g.start+21*time.Second, g.start+22*time.Second }},
		{"the next one begins before its end", NoOverlap, func(g good) { g.next = g.start + 960*time.Millisecond }},
	} {
		g := newGood()
		row.plant(g)
		var broken []string
		for _, rule := range Rules {
			if err := rule.check(*g.part); err != nil {
				broken = append(broken, rule.Name)
			}
		}
		if got := strings.Join(broken, ", "); got != row.rule {
			t.Errorf("%s: breaks %q, want %q", row.name, got, row.rule)
		}
		seen[row.rule] = true
	}
	for _, rule := range Rules {
		if !seen[rule.Name] || rule.Source == "" {
			t.Errorf("the rule %q has no test or no source", rule.Name)
		}
	}
}

type oneStream struct{}

func (oneStream) Stream(name string) (media.StreamInfo, bool) {
	return media.StreamInfo{Name: name, RetentionHours: 1, Status: "ACTIVE"}, true
}

// TestADirectoryIsChecked has ffmpeg send films to the data plane as AWS stores them: good ones, and one with other codec private data.
func TestADirectoryIsChecked(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir := t.TempDir()
	service, err := media.New(media.Options{Dir: dir, Streams: oneStream{}, Strictness: media.AsStored})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	begin := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	put := func(stream string, after time.Duration, encoder string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		arguments := "-v error -f lavfi -i testsrc2=size=320x240:rate=25:duration=4 " + encoder +
			" -g 50 -keyint_min 50 -sc_threshold 0 -f matroska -live 1 -cluster_time_limit 9000 -cluster_size_limit 5M pipe:1"
		film, err := exec.CommandContext(ctx, "ffmpeg", strings.Fields(arguments)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/putMedia", bytes.NewReader(film))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("x-amzn-stream-name", stream)
		request.Header.Set("x-amzn-fragment-timecode-type", "RELATIVE")
		request.Header.Set("x-amzn-producer-start-timestamp", fmt.Sprint(begin.Add(after).Unix()))
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		acks, err := io.ReadAll(answer.Body)
		if _ = answer.Body.Close(); err != nil || bytes.Contains(acks, []byte("ERROR")) {
			t.Fatalf("a film is answered with %v: %s", err, acks)
		}
	}
	put("h264", 0, "-c:v libx264 -preset ultrafast -bf 2 -x264-params open-gop=0")
	put("changed", 0, "-c:v libx264 -preset ultrafast -bf 0")
	put("changed", 4*time.Second, "-c:v libx264 -preset ultrafast -bf 0 -s 640x360")
	if err := service.Close(); err != nil {
		t.Fatal(err)
	}
	faults, err := Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) != 1 || faults[0].Rule != Constant || faults[0].Stream != "changed" || !faults[0].At.Equal(begin.Add(4*time.Second)) {
		t.Errorf("the faults are %v, want one of other codec private data after 4 s", faults)
	}
}
