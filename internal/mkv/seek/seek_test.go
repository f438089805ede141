package seek_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/seek"
)

// written is a file of three fragments with a keyframe every 400 ms, finished or not.
func written(t testing.TB, finished bool) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mkv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	w, err := mkv.NewWriter(f, mkv.Header{Start: time.UnixMilli(1_795_234_848_123), Title: "door", Tracks: []mkv.Track{
		{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16},
	}}, mkv.WriterOptions{})
	for i := range 75 {
		at := time.Duration(i) * 40 * time.Millisecond
		if i%25 == 0 && err == nil {
			if i > 0 {
				_, err = w.EndFragment()
			}
			err = errors.Join(err, w.BeginFragment(at, true))
		}
		if err == nil {
			err = w.WriteFrame(1, at, i%25%10 == 0, [][]byte{bytes.Repeat([]byte{7}, 100)})
		}
	}
	if finished && err == nil {
		err = w.Close()
	} else if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCuesNameEachKeyframe(t *testing.T) {
	t.Parallel()
	data := written(t, true)
	points, err := seek.Cues(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mkv.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	fragments, err := m.Fragments()
	if err != nil || len(fragments) != 3 {
		t.Fatal(len(fragments), err)
	}
	var want []seek.Point
	for _, f := range fragments {
		for _, after := range []time.Duration{0, 400 * time.Millisecond, 800 * time.Millisecond} {
			want = append(want, seek.Point{Time: f.Start + after, Cluster: f.Offset})
		}
	}
	if diff := cmp.Diff(want, points); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for at, i := int64(0), 0; ; i++ {
		f, found, err := seek.Cluster(bytes.NewReader(data), at, int64(len(data)))
		if err != nil || found != (i < len(fragments)) {
			t.Fatal(i, found, err)
		}
		if !found {
			break
		}
		if f.Offset != fragments[i].Offset || f.Size != fragments[i].Size || f.Start != fragments[i].Start {
			t.Errorf("cluster %d is %+v, want %+v", i, f, fragments[i])
		}
		at = f.Offset + f.Size
	}
}

func TestAnOpenFile(t *testing.T) {
	t.Parallel()
	data := written(t, false)
	if _, err := seek.Cues(bytes.NewReader(data), int64(len(data))); !errors.Is(err, seek.ErrNoCues) {
		t.Error(err)
	}
	var last mkv.Fragment
	for at := int64(0); ; at = last.Offset + last.Size {
		f, found, err := seek.Cluster(bytes.NewReader(data), at, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			break
		}
		last = f
	}
	if last.Start != 2*time.Second || last.Offset+last.Size != int64(len(data)) {
		t.Errorf("the open cluster is %+v in a file of %d bytes", last, len(data))
	}
}

// FuzzSeek: whatever a file holds, nothing outside of it is pointed to, and the search ends.
func FuzzSeek(f *testing.F) {
	whole := written(f, true)
	f.Add(whole)
	f.Add(written(f, false))
	f.Add(whole[:300])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		points, err := seek.Cues(bytes.NewReader(data), size)
		if (err == nil) != (len(points) > 0) {
			t.Fatal(len(points), err)
		}
		for i, p := range points {
			if p.Cluster < 0 || p.Cluster >= size || p.Time < 0 || i > 0 && p.Time < points[i-1].Time {
				t.Fatalf("%+v", p)
			}
		}
		for at := int64(0); ; {
			c, found, err := seek.Cluster(bytes.NewReader(data), at, size)
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				return
			}
			if c.Offset < at || c.Size < mkv.ClusterHeadSize || c.Offset+c.Size > size || c.Start < 0 {
				t.Fatalf("%+v of %d bytes", c, size)
			}
			at = c.Offset + c.Size
		}
	})
}
