package changes

import (
	"maps"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// conditionKey identifies a condition.
type conditionKey struct{ stream, job, code string }

// conditionsOf are those of a snapshot.
func conditionsOf(s status.Snapshot) map[conditionKey]status.Condition {
	all := make(map[conditionKey]status.Condition)
	add := func(stream string, list []status.Condition) {
		for _, c := range list {
			all[conditionKey{stream, c.Job, c.Code}] = c
		}
	}
	add("", s.Agent)
	for _, st := range s.Streams {
		add(st.Name, st.Conditions)
	}
	for _, o := range s.Orphans {
		add(o.Name, o.Conditions)
	}
	return all
}

// streamsOf are the configured streams of a snapshot.
func streamsOf(s status.Snapshot) map[string]status.Stream {
	all := make(map[string]status.Stream, len(s.Streams))
	for _, st := range s.Streams {
		all[st.Name] = st
	}
	return all
}

// statesOf are those of a stream's jobs, by name.
func statesOf(st status.Stream) map[string]string {
	states := make(map[string]string, len(st.Jobs))
	for _, job := range st.Jobs {
		states[job.Name] = job.State
	}
	return states
}

// difference lists what differs between two snapshots, in an order that is always the same.
func difference(before, next status.Snapshot) (list []Change) {
	add := func(c Change) {
		c.Time = next.Time
		list = append(list, c)
	}
	then, now := streamsOf(before), streamsOf(next)
	for _, name := range sortedKeys(then, now) {
		was, had := then[name]
		is, has := now[name]
		if had != has {
			add(Change{Kind: Stream, Stream: name, Configured: has})
		}
		if !has {
			continue
		}
		states := statesOf(was)
		for _, job := range is.Jobs {
			if before, had := states[job.Name]; !had || before != job.State {
				add(Change{Kind: Job, Stream: name, Job: job.Name, State: job.State})
			}
		}
		if space := spaceOf(is); !had || spaceOf(was) != space || was.Uploader.BacklogBytes != is.Uploader.BacklogBytes {
			add(Change{Kind: Recordings, Stream: name, Space: &space, NotUploadedBytes: is.Uploader.BacklogBytes})
		}
	}
	thenRaised, nowRaised := conditionsOf(before), conditionsOf(next)
	for _, key := range slices.SortedFunc(maps.Keys(thenRaised), compareKeys) {
		if _, still := nowRaised[key]; !still {
			ended := thenRaised[key]
			add(Change{Kind: Condition, Stream: key.stream, Condition: &ended, Ended: true})
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(nowRaised), compareKeys) {
		is := nowRaised[key]
		was, had := thenRaised[key]
		same := had && was.Class == is.Class && was.Severity == is.Severity && was.Text == is.Text // not its count
		if !same {
			add(Change{Kind: Condition, Stream: key.stream, Condition: &is})
		}
	}
	if before.Verdict != next.Verdict {
		add(Change{Kind: Verdict, Verdict: next.Verdict})
	}
	return list
}

func spaceOf(st status.Stream) Space {
	s := st.Space
	return Space{s.Segments, s.UsedBytes, s.LimitBytes, s.Oldest.UTC(), s.DeletedBeforeUpload}
}

func compareKeys(a, b conditionKey) int {
	return slices.Compare([]string{a.stream, a.job, a.code}, []string{b.stream, b.job, b.code})
}

func sortedKeys[V any](a, b map[string]V) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]V{a, b} {
			for name := range m {
				if !yield(name) {
					return
				}
			}
		}
	}))
}
