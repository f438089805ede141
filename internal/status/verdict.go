package status

import (
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// verdict is down when every stream's recording has failed (or the agent itself), degraded when
// anything at all is more than information.
func verdict(s Snapshot) Verdict {
	failed, worst := 0, health.Info
	for _, st := range s.Streams {
		recorderFailed := false
		for _, c := range st.Conditions {
			worst = max(worst, c.Severity)
			recorderFailed = recorderFailed || (c.Job == health.JobRecorder && c.Severity == health.Failed)
		}
		if recorderFailed {
			failed++
		}
	}
	for _, c := range s.Agent {
		worst = max(worst, c.Severity)
	}
	for _, o := range s.Orphans {
		for _, c := range o.Conditions {
			worst = max(worst, c.Severity)
		}
	}
	switch {
	case len(s.Streams) > 0 && failed == len(s.Streams):
		return Down
	case worst > health.Info:
		return Degraded
	default:
		return Healthy
	}
}

func severityOf(v Verdict) health.Severity {
	switch v {
	case Down:
		return health.Failed
	case Degraded:
		return health.Degraded
	}
	return health.Info
}

// worstOf is the severity of a stream's worst condition; ok is false when it has none but information.
func worstOf(st Stream) (worst health.Severity, ok bool) {
	for _, c := range st.Conditions {
		worst = max(worst, c.Severity)
	}
	return worst, worst > health.Info
}

// Only is the snapshot with one of its streams, and with the verdict for that one.
func (s Snapshot) Only(stream string) (only Snapshot, found bool) {
	i := slices.IndexFunc(s.Streams, func(st Stream) bool { return st.Name == stream })
	j := slices.IndexFunc(s.Orphans, func(o Orphan) bool { return o.Name == stream })
	switch {
	case i >= 0:
		s.Streams, s.Orphans = s.Streams[i:i+1], nil
	case j >= 0:
		s.Streams, s.Orphans = []Stream{}, s.Orphans[j:j+1]
	default:
		return s, false
	}
	s.Verdict = verdict(s)
	return s, true
}
