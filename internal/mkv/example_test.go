package mkv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// A segment is written fragment by fragment, and can be read while it grows.
func ExampleWriter() {
	dir, err := os.MkdirTemp("", "mkv")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := os.Create(filepath.Join(dir, "door.mkv"))
	check(err)
	defer func() { _ = file.Close() }()

	w, err := mkv.NewWriter(file, mkv.Header{
		Start: time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC), Title: "door",
		Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, Width: 1920, Height: 1080}},
	}, mkv.WriterOptions{})
	check(err)
	for second := range 2 {
		at := time.Duration(second) * time.Second
		check(w.BeginFragment(at, true))
		check(w.WriteFrame(1, at, true, [][]byte{[]byte("a keyframe")}))
		check(w.WriteFrame(1, at+500*time.Millisecond, false, [][]byte{[]byte("another")}))
		_, err := w.EndFragment()
		check(err)
	}
	check(w.Close())

	info, err := file.Stat()
	check(err)
	r, err := mkv.Open(file, info.Size())
	check(err)
	fragments, err := r.Fragments()
	check(err)
	for _, f := range fragments {
		for block, err := range r.Blocks(f) {
			check(err)
			fmt.Println(r.Header().Title, block.Time, block.Keyframe, len(block.Data))
		}
	}
	// Output:
	// door 0s true 14
	// door 500ms false 11
	// door 1s true 14
	// door 1.5s false 11
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
