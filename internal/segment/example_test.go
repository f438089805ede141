package segment_test

import (
	"fmt"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// What is recorded waits for its upload; what is acknowledged is never uploaded again.
func ExampleStore() {
	dir, err := os.MkdirTemp("", "recordings")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := segment.Open(segment.Options{Dir: dir})
	check(err)
	defer func() { _ = store.Close() }()

	w, err := store.Create("door", mkv.Header{
		Start: time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC), Title: "door",
		Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}},
	})
	check(err)
	check(w.BeginFragment(0, true))
	check(w.WriteFrame(1, 0, true, [][]byte{[]byte("a keyframe")}))
	check(w.WriteFrame(1, time.Second, false, [][]byte{[]byte("another")}))
	fragment, err := w.EndFragment()
	check(err)
	check(w.Seal())
	fmt.Println(store.Usage("door").PendingDuration, "wait for the cloud")

	check(store.MarkPersisted(w.Key(), fragment))
	check(store.MarkUploaded(w.Key()))
	for _, s := range store.Segments("door", time.Time{}, time.Time{}) {
		fmt.Println(s.StartTime().UTC().Format(time.DateTime), s.State, store.Done(s.Key, 0))
	}
	fmt.Println(store.Usage("door").PendingDuration, "wait for the cloud")
	// Output:
	// 1s wait for the cloud
	// 2026-11-21 04:20:00 uploaded true
	// 0s wait for the cloud
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
