package localcloud

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// StreamBill is the bill of a stream until now.
type StreamBill struct {
	Stream string
	kvs.Bill
}

// Bills reads those of all streams in the directory of a local cloud, which may run, in the order of their names.
func Bills(dir string, now time.Time) ([]StreamBill, error) {
	d := document{Streams: kvs.Streams{}}
	found, err := state.Peek(filepath.Join(dir, "state"), &d)
	if err == nil && !found {
		err = errors.New("no local cloud ever used it; name that of `localcloud --dir`")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the local cloud in %s: %w", dir, err)
	}
	all, err := archive.ReadFragments(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the local cloud in %s: %w", dir, err)
	}
	byStream := make(map[string][]media.Fragment)
	for _, f := range all {
		byStream[f.Stream] = append(byStream[f.Stream], f)
	}
	var list []StreamBill
	for _, name := range slices.Sorted(maps.Keys(d.Streams)) {
		bill, err := d.Streams.Bill(name, byStream[name], now)
		if err != nil {
			continue // it is being deleted
		}
		list = append(list, StreamBill{name, bill})
	}
	return list, nil
}
