package changes

import (
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// keptSpells bounds what is remembered of a stream: some hundred outages of a camera.
const keptSpells = 512

// spell is a time in which a stream's recorder was in one state, up to the next spell.
type spell struct {
	from       time.Time
	code, text string // why it did not record; "" when it did, or when nobody knows
}

// The codes of causes that no condition has.
const (
	CauseSchedule = "schedule"      // the recorder was off by schedule
	CauseStopped  = "agent-stopped" // the agent was started in it
)

// spend notes since when the recorders are as they are. Call with mu held.
func (f *Feed) spend(s status.Snapshot) {
	for _, st := range s.Streams {
		now := spell{from: s.Time}
		now.code, now.text = why(st)
		list := f.spells[st.Name]
		if n := len(list); n > 0 && list[n-1].code == now.code && list[n-1].text == now.text {
			continue
		}
		if list = append(list, now); len(list) > keptSpells {
			list = slices.Delete(list, 0, 1)
		}
		f.spells[st.Name] = list
	}
}

// why says why a recorder does not record.
func why(st status.Stream) (code, text string) {
	if strings.HasPrefix(st.Recorder.State, health.OffBySchedule) {
		return CauseSchedule, ""
	}
	for _, c := range st.Conditions {
		if c.Severity == health.Failed && (c.Job == health.JobRecorder || c.Job == health.JobRetention || c.Job == health.JobStore) {
			return c.Code, c.Text
		}
	}
	return "", ""
}

// Cause says why a stream was not recorded in a time: what was the case for the longest part of it. The code is that of a
// condition, or one of the causes; "" when it is not known. What was before the start of the agent is not.
func (f *Feed) Cause(stream string, from, to time.Time) (code, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var longest time.Duration
	if from.Before(f.started) && to.After(f.started) {
		code, longest = CauseStopped, f.started.Sub(from)
	}
	list := f.spells[stream]
	lasted := make(map[string]time.Duration)
	for i, s := range list {
		end := to
		if i+1 < len(list) && list[i+1].from.Before(to) {
			end = list[i+1].from
		}
		began := s.from
		if began.Before(from) {
			began = from
		}
		if length := end.Sub(began); length > 0 && s.code != "" {
			lasted[s.code] += length
			if lasted[s.code] > longest {
				code, text, longest = s.code, s.text, lasted[s.code]
			}
		}
	}
	return code, text
}
