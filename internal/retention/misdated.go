package retention

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// codeMisdated is raised while there are recordings with wrong times.
const codeMisdated = "times-wrong"

const scopeMisdated health.Scope = "times"

// reportMisdated reports which recordings have wrong times, until they are deleted.
func (k *Keeper) reportMisdated(streams []string) {
	before := k.misdated
	k.misdated = make(map[string]bool)
	for _, stream := range streams {
		list := k.o.Store.Misdated(stream)
		if len(list) == 0 {
			continue
		}
		k.misdated[stream] = true
		fault := misdatedFault(stream, list)
		if k.o.Health.Component(stream, health.JobRetention).Report(scopeMisdated, health.Info, fault) {
			logevent.Condition(k.o.Log, fault, zap.String("stream", stream))
		}
	}
	for stream := range before {
		if !k.misdated[stream] {
			k.o.Health.Component(stream, health.JobRetention).OK(scopeMisdated)
		}
	}
}

// mayBeYoung reports whether media is young if its file's times are right. Where it is not known by how much times were
// ahead, the clock may have been right and later far behind for a while: then all earlier media seems to be old.
func mayBeYoung(s segment.Info, before, now time.Time) bool {
	doubtful := s.ClockAhead && s.ClockOffset == 0 && s.End.Sub(s.RecordedTo) >= maxOff
	return doubtful && !s.End.Before(before) && !s.End.After(now)
}

// misdatedFault describes the newest of some spans, and counts the others.
func misdatedFault(stream string, list []segment.Misdated) *health.Fault {
	m, others := list[len(list)-1], ""
	if n := len(list) - 1; n > 0 {
		others = fmt.Sprintf(", and so have %d spans before", n)
	}
	why, correction := "a clock was ahead", ""
	if m.Unset {
		why = "the hub's clock was not set"
	}
	switch {
	case !m.Known:
		correction = "by how much is not known, they were made before " + m.RecordedTo.Format(time.RFC3339)
	case m.Offset < 0:
		correction = fmt.Sprintf("subtract %s from them", -m.Offset)
	default:
		correction = fmt.Sprintf("add %s to them", m.Offset)
	}
	return health.SystemFault(codeMisdated, nil,
		"The recordings of stream %s dated %s to %s have wrong times%s, as %s: %s. `kvs-edge-agent segments --stream %s` shows which they are.",
		stream, health.Varying(m.From.Format(time.RFC3339)), m.To.Format(time.RFC3339), health.Varying(others), why, correction, stream)
}
