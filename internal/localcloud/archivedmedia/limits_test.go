package archivedmedia

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// seconds are fragments of a second, one behind the other.
func seconds(n int, bytes int64) (list []Fragment) {
	for i := range n {
		at := time.Unix(int64(1000+i), 0)
		list = append(list, Fragment{Number: fmt.Sprint(10_000 + i), Producer: at, Server: at, Duration: 960 * time.Millisecond, Frames: 25,
			Bytes: bytes})
	}
	return list
}

func TestWhatAClipHolds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		fragments int
		bytes     int64
		says      string
	}{
		{200, 500_000, ""}, {201, 1, "201 fragments; a clip has at most 200"}, {2, 50_000_000, ""},
		{3, 40_000_000, "120000000 bytes; a clip has at most 100000000"},
	} {
		err := selection(seconds(row.fragments, row.bytes)).fitsClip()
		var refused *awsapi.Error
		if row.says == "" && err != nil || row.says != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Message, row.says)) {
			t.Errorf("%d fragments of %d bytes: %v, want %q", row.fragments, row.bytes, err, row.says)
		}
	}
}

// TestHowManyFragmentsAPlaylistHas: members that are left out have the values of the API reference.
func TestHowManyFragmentsAPlaylistHas(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000+6000, 0)
	for _, row := range []struct {
		mode       string
		given      int
		want, from int
	}{
		{"", 0, 5, 5995}, {modeLive, 3, 3, 5997}, {modeReplay, 0, 5, 0}, {modeReplay, 2, 2, 0}, {modeOnDemand, 0, 1000, 0},
		{modeOnDemand, 5000, 5000, 0},
	} {
		of := newSession(row.mode, 0, row.given, now)
		stored := seconds(6000, 1)
		if err := of.begin(stored, now); err != nil {
			t.Fatal(err)
		}
		w := of.window(stored, now)
		if got := w.to - w.from; got != row.want || w.all[w.from].Number != fmt.Sprint(10_000+row.from) {
			t.Errorf("%s with %d: %d fragments from %s, want %d from %d", row.mode, row.given, got, w.all[w.from].Number, row.want, row.from)
		}
		if of.Expires-of.Created != 300_000 {
			t.Errorf("%s: a session lasts %d ms", row.mode, of.Expires-of.Created)
		}
	}
}

// TestWhatArrivesDuringAReplay: what was shown stays, and what was not yet shown is replaced by a newer one with the same time.
func TestWhatArrivesDuringAReplay(t *testing.T) {
	t.Parallel()
	stored := seconds(4, 1) // of 1000 to 1003
	began := time.Unix(2000, 0)
	of := newSession(modeReplay, 0, 1, began)
	of.By = byProducer
	if err := of.begin(stored, began); err != nil {
		t.Fatal(err)
	}
	arrive := func(number string, producer, after int) {
		stored = append(stored, Fragment{Number: number, Producer: time.Unix(int64(producer), 0),
			Server:   began.Add(time.Duration(after) * time.Second),
			Duration: 960 * time.Millisecond, Frames: 25})
	}
	arrive("20000", 1001, 1)  // shown since the same moment
	arrive("20001", 1003, 1)  // not yet
	arrive("20002", 999, 2)   // in front of those that are shown
	arrive("20003", 1002, 2)  // shown
	arrive("20004", 1004, 2)  // behind all
	arrive("20005", 1000, 90) // long shown
	for after, want := range map[int]string{0: "10000", 1: "10000 10001", 2: "10000 10001 10002", 100: "10000 10001 10002 20001 20004"} {
		var known []Fragment
		now := began.Add(time.Duration(after) * time.Second)
		for _, f := range stored {
			if !f.Server.After(now) {
				known = append(known, f)
			}
		}
		list, shown := of.replayed(known, now)
		var got []string
		for _, f := range list[:shown] {
			got = append(got, f.Number)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("after %d s it shows %s, want %s", after, text, want)
		}
	}
}
