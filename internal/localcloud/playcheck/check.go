package playcheck

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Fault is a rule that a fragment breaks.
type Fault struct {
	Rule, Stream, Fragment string
	At                     time.Time // producer timestamp of the fragment
	Why                    string
}

// String is a line.
func (f Fault) String() string {
	return fmt.Sprintf("%s: fragment %s of %s, at %s: %s", f.Rule, f.Fragment, f.Stream, f.At.Format("15:04:05.000"), f.Why)
}

// Directory checks everything that was stored in the directory of a local cloud, which may be running or not.
func Directory(dir string) (faults []Fault, err error) {
	all, err := archive.ReadFragments(dir)
	if err != nil {
		return nil, err
	}
	files := archive.ReaderOf(dir)
	defer files.Close()
	streams := map[string][]archive.Fragment{}
	for _, f := range all {
		streams[f.Stream] = append(streams[f.Stream], f)
	}
	for _, list := range streams {
		found, err := check(files, played(list))
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	slices.SortFunc(faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Stream, b.Stream), a.At.Compare(b.At)) })
	return faults, nil
}

// played is what a session on demand plays: by producer timestamps, and of those that begin at the same time the newest one.
func played(list []archive.Fragment) []archive.Fragment {
	slices.SortStableFunc(list, func(a, b archive.Fragment) int { return a.Producer.Compare(b.Producer) })
	unique := list[:0]
	for _, f := range list {
		if n := len(unique); n > 0 && unique[n-1].Producer.Equal(f.Producer) {
			unique[n-1] = f
			continue
		}
		unique = append(unique, f)
	}
	return unique
}

func check(files *archive.Reader, list []archive.Fragment) (faults []Fault, err error) {
	var before *strictmkv.Header
	for i, f := range list {
		p := part{before: before, start: time.Duration(f.Producer.UnixNano())}
		if i+1 < len(list) {
			p.next = time.Duration(list[i+1].Producer.UnixNano())
		}
		if err := files.Blocks(f, func(e strictmkv.Event) bool {
			found := frame{track: e.Track, time: e.Time, flagged: e.Keyframe}
			if e.Track.Type == strictmkv.TypeVideo {
				found.read(e.Data)
			} else if len(e.Data) == 0 {
				found.fault = "is empty"
			}
			p.frames = append(p.frames, found)
			return true
		}); err != nil {
			return nil, fmt.Errorf("fragment %s of %s cannot be read: %w", f.Number, f.Stream, err)
		}
		p.header = files.Header()
		for _, rule := range Rules {
			if fault := rule.check(p); fault != nil {
				faults = append(faults, Fault{Rule: rule.Name, Stream: f.Stream, Fragment: f.Number, At: f.Producer, Why: fault.Error()})
			}
		}
		before = p.header
	}
	return faults, nil
}
