package hls_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// entry is a media segment of a live playlist.
type entry struct {
	number int
	start  int // ms in its segment
	uri    string
}

var (
	sequence = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)
	startOf  = regexp.MustCompile(`start=(\d+)`)
)

// live returns what the live playlist has.
func (s *site) live() (list []entry) {
	s.Helper()
	playlist := s.want(hls.NameMedia + "?stream=door")
	first, err := strconv.Atoi(sequence.FindStringSubmatch(playlist)[1])
	if err != nil || strings.Contains(playlist, "ENDLIST") {
		s.Fatalf("%v %s", err, playlist)
	}
	for line := range strings.Lines(playlist) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, hls.NamePart) {
			start, _ := strconv.Atoi(startOf.FindStringSubmatch(line)[1])
			list = append(list, entry{first + len(list), start, line})
		}
	}
	return list
}

// sync writes and syncs what is recorded, as the recorder does every 1.5 s.
func (s *site) sync(w *segment.Writer) {
	s.Helper()
	if err := w.Flush(); err != nil {
		s.Fatal(err)
	}
	r, err := s.store.OpenSegment(w.Key())
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	testtools.Eventually(s.T, time.Minute, func() error {
		if r.Synced() < w.Bytes() { // all of them are flushed
			return errors.New("the recording is not synced")
		}
		return nil
	})
}

// TestLiveIsAGOPBehindWhatIsSynced while a fragment of 10 s is open, with a GOP a second.
func TestLiveIsAGOPBehindWhatIsSynced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.store.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	path := filmed.Encode(t, 25, h264+" -bf 0")
	film, pictures := filmed.Read(t, path), frames(t, path)
	w := film.Begin(t, s.store, "door", begin)
	const perFlush = 37 // frames: 1.48 s
	numbers := make(map[int]int)
	played, gops := 0, 0
	for i, frame := range film.Frames {
		if frame.Keyframe {
			if gops%10 == 0 {
				if _, err := w.EndFragment(); err != nil && gops > 0 {
					t.Fatal(err)
				}
				if err := w.BeginFragment(frame.At, true); err != nil {
					t.Fatal(err)
				}
			}
			gops++
		}
		if err := w.WriteFrame(1, frame.At, frame.Keyframe, frame.Parts); err != nil {
			t.Fatal(err)
		}
		if i%perFlush != perFlush-1 {
			continue
		}
		s.sync(w)
		if gops < 2 {
			continue
		}
		list := s.live()
		last := list[len(list)-1]
		if behind := frame.At - time.Duration(last.start)*time.Millisecond - time.Second; behind > time.Second {
			t.Errorf("after %v the newest GOP is that of %d ms: %v behind", frame.At, last.start, behind)
		}
		for _, e := range list {
			if n, ok := numbers[e.number]; ok && n != e.start {
				t.Errorf("number %d was that of %d ms, and is that of %d ms", e.number, n, e.start)
			}
			if _, ok := numbers[e.number]; ok {
				continue
			}
			numbers[e.number] = e.start
			init := s.want(hls.NameInit + "?stream=door&segment=" + w.Key().ID().String())
			got := frames(t, write(t, init+s.want(e.uri)))
			if len(got) == 0 || strings.Join(got, " ") != strings.Join(pictures[played:min(played+len(got), len(pictures))], " ") {
				t.Fatalf("the media segment of %d ms has %d frames, or others than recorded from %d on", e.start, len(got), played)
			}
			played += len(got)
		}
	}
	if played < 22*25 {
		t.Errorf("%d frames were listed", played)
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	if list := s.live(); list[len(list)-1].start != 24_000 {
		t.Errorf("the last GOP of a finished segment is not listed: %+v", list)
	}
}

// TestTheLivePlaylistSlides over segments, with numbers that rise, and a discontinuity that is counted when it leaves.
func TestTheLivePlaylistSlides(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	film := filmed.Read(t, filmed.Encode(t, 10, h264+" -bf 0"))
	at := begin
	first, last := 0, 0
	var base string
	for i := range 20 {
		if i == 3 {
			at = at.Add(30 * time.Second)
		}
		film.Record(t, s.store, "door", at, 5)
		at = at.Add(10 * time.Second)
		list := s.live()
		playlist := s.want(hls.NameMedia + "?stream=door")
		newest := list[len(list)-1]
		if i == 0 {
			first, last = list[0].number, newest.number
			base = regexp.MustCompile(`DISCONTINUITY-SEQUENCE:\d+`).FindString(playlist)
		}
		if newest.number != last+i*10 || newest.start != 9000 {
			t.Fatalf("segment %d: the newest is %+v, want number %d", i, newest, last+i*10)
		}
		if want := min(10*(i+1), 60); len(list) != want || list[0].number != first+10*(i+1)-want {
			t.Fatalf("segment %d: %d from %d on", i, len(list), list[0].number)
		}
		has, counted := strings.Count(playlist, "#EXT-X-DISCONTINUITY\n"), !strings.Contains(playlist, base+"\n")
		if in := i >= 3 && i < 8; has != map[bool]int{true: 1}[in] && i != 8 || counted != (i > 8) && i != 8 {
			t.Errorf("segment %d: %d discontinuities, counted: %v", i, has, counted)
		}
		if n := strings.Count(playlist, "#EXT-X-MAP:"); n != 1 {
			t.Errorf("segment %d: %d descriptions", i, n)
		}
	}
	for _, info := range s.store.Segments("door", time.Time{}, time.Time{})[:18] {
		if err := s.store.Delete(info.Key); err != nil {
			t.Fatal(err)
		}
	}
	list := s.live()
	if len(list) != 20 || list[0].number != first+180 {
		t.Errorf("after a deletion there are %d, from %d on", len(list), list[0].number)
	}
	for _, e := range list {
		s.want(e.uri)
	}
	playlist := s.want(hls.NameMedia + "?stream=door")
	s.want(regexp.MustCompile(`URI="(.*)"`).FindStringSubmatch(playlist)[1])
	if out := fmt.Sprint(len(frames(t, s.url+hls.NameMedia+span(0, time.Hour)))); out != "500" {
		t.Errorf("%s frames are left", out)
	}
}
