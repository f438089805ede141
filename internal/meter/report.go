package meter

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
)

// The codes of the conditions.
const (
	codeCap   = "upload-cap"       // much of the cap is used; ends with the period, and with another cap
	codeState = "upload-cap-state" // the count is not saved, which ends with the next write; or it was lost, which is an event
	// CodeReached is that of a request which is not answered, as the cap is reached.
	CodeReached = "upload-cap-reached"
)

const (
	scopeCap  health.Scope = "cap"
	scopeSave health.Scope = "save"
	scopeLost health.Scope = "lost"
)

// shownLost is how long it is shown that the count was lost.
const shownLost = 24 * time.Hour

// Setting is the variable with the cap, for sentences.
const Setting = "AWS_KVS_EDGE_UPLOAD_CAP"

// Level is which step of the cap is reached.
type Level uint8

// The levels. From Warned on there is a condition.
const (
	Free         Level = iota
	Warned             // 80 %
	NoBacklog          // 90 %, or the next fragment of the backlog would exceed that
	NoLive             // 95 %
	NothingMedia       // 100 %
)

const warnedFrom = 80 // percent

// String returns what is not sent, for machines; empty when everything is.
func (l Level) String() string {
	switch l {
	case NoBacklog:
		return "backlog"
	case NoLive:
		return "live"
	case NothingMedia:
		return "all"
	}
	return ""
}

// State is what is known of the present period.
type State struct {
	Cap            Cap
	Sent, Received int64 // bytes of TCP payload
	Used           int64 // of Cap.Bytes
	Level          Level
	Start, Reset   time.Time // of the period; zero while no date was ever known
	// Reached is when the cap will be reached at the speed of the last days, zero when that is not before Reset, which is
	// Suffices, when it is reached, and when the speed is not known.
	Reached  time.Time
	Suffices bool
	// TooLarge is the size of a fragment that is not sent in any period, as its share of the cap is smaller; 0 for none.
	TooLarge int64
	// ClockKnown is whether the period can end: the hub's clock is trusted.
	ClockKnown bool
}

// Percent is how much of the cap is used.
func (s State) Percent() float64 { return 100 * float64(s.Used) / float64(s.Cap.Bytes) }

// State returns it.
func (m *Meter) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roll()
	return m.state()
}

// Totals returns the bytes of TCP payload since the start of the process.
func (m *Meter) Totals() (sent, received int64) { return m.sent.Load(), m.received.Load() }

// state is State, with mu held.
func (m *Meter) state() State {
	s := State{Cap: m.cap, ClockKnown: m.known, TooLarge: m.tooLarge}
	for _, e := range m.days[m.days.since(m.period):] {
		s.Sent += e.Sent
		s.Received += e.Received
	}
	if m.cap.IsNone() {
		return s
	}
	s.Used = m.cap.onLine(s.Sent + s.Received)
	if today, ok := m.today(); ok {
		s.Start = midnight(m.cap.start(today), m.o.Zone)
		s.Reset = midnight(m.cap.end(today), m.o.Zone)
		s.Reached, s.Suffices = m.forecast(today, s)
	}
	s.Level = m.level(s)
	return s
}

func (m *Meter) level(s State) Level {
	percent := s.Percent()
	for _, step := range []struct {
		level Level
		class Class
	}{{NothingMedia, Request}, {NoLive, Live}, {NoBacklog, Backlog}} {
		if percent >= float64(shares[step.class]) || m.refused[step.class] {
			return step.level
		}
	}
	if percent >= warnedFrom {
		return Warned
	}
	return Free
}

const (
	// forecastDays is of how many days before today the speed is the mean, and of how many with a cap per day.
	forecastDays    = 7
	forecastDaysDay = 1
	// leastForecast is after how long of counting there is a forecast.
	leastForecast = 10 * time.Minute
)

// forecast is Reached and Suffices of a State. Called with mu held.
func (m *Meter) forecast(today time.Time, s State) (reached time.Time, suffices bool) {
	now, known := m.o.Clock.Time()
	if !known || m.began.IsZero() || s.Used >= m.cap.Bytes {
		return time.Time{}, false
	}
	days := forecastDays
	if m.cap.Day == 0 {
		days = forecastDaysDay
	}
	from := today.AddDate(0, 0, -days)
	payload := m.days[m.days.since(from.Format(time.DateOnly)):].payload()
	start := midnight(from, m.o.Zone)
	if start.Before(m.began) {
		start = m.began
	}
	took := now.Sub(start)
	if took < leastForecast {
		return time.Time{}, false
	}
	left := float64(m.cap.Bytes-s.Used) / (float64(max(payload, 1)) * m.cap.Overhead) * float64(took)
	if left >= float64(s.Reset.Sub(now)) {
		return time.Time{}, true
	}
	return now.Add(time.Duration(left)).Round(0), false
}

// judge reports which step of the cap is reached.
func (m *Meter) judge() {
	m.reporting.Lock()
	defer m.reporting.Unlock()
	s := m.State()
	if s.Level == Free || s.Cap.IsNone() {
		if m.o.Health.OK(scopeCap) {
			logevent.CapFree.Log(m.o.Log)
		}
		return
	}
	severity, fault := s.fault()
	if m.o.Health.Report(scopeCap, severity, fault) {
		logevent.Condition(m.o.Log, fault)
	}
}

// fault is the condition of a level.
func (s State) fault() (health.Severity, *health.Fault) {
	used := health.Varying(humanize.Bytes(s.Used) + " of " + humanize.Bytes(s.Cap.Bytes))
	fault := func(format string) *health.Fault {
		return health.UserFault(codeCap, nil, format, s.Cap.String(), used, health.Varying(s.until()))
	}
	const line = "The cap of the line (" + Setting + "=%s) is "
	if s.TooLarge > 0 {
		return health.Failed, health.UserFault(codeCap, nil, line+"too small for fragments of %s: they are not uploaded in any period. "+
			"Recording continues; raise the cap, or have shorter fragments recorded.", s.Cap.String(), health.Varying(humanize.Bytes(s.TooLarge)))
	}
	switch s.Level {
	case NothingMedia:
		return health.Failed, fault(line + "reached (%s): no media is uploaded %s. Recording continues, and what waits on the hub is " +
			"uploaded then; raise the cap to upload it earlier. Configurations, metrics and credentials still use the line.")
	case NoLive:
		return health.Degraded, fault(line + "used up to its last 5 %% (%s), which are for events and requests: neither the backlog nor live " +
			"media is uploaded %s. Recording continues, and what waits on the hub is uploaded then; raise the cap to upload it earlier.")
	case NoBacklog:
		return health.Degraded, fault(line + "used up to its last 10 %% (%s), which are for live media, events and requests: the backlog " +
			"is not uploaded %s. It waits on the hub and is uploaded then; raise the cap to upload it earlier.")
	default:
		return health.Info, fault(line + "used by more than 80 %% (%s): from 90 %% on the backlog is not uploaded, and from 95 %% on no live " +
			"media either, %s. Raise the cap, or lower the bitrate of the cameras.")
	}
}

// until says when the period ends.
func (s State) until() string {
	switch {
	case s.Reset.IsZero():
		return "until the hub's clock is set and a day or month has ended"
	case !s.ClockKnown:
		return "until the hub's clock, which is not trusted at present, has reached " + humanize.Minute(s.Reset)
	default:
		return "until " + humanize.Minute(s.Reset)
	}
}

// Fault is why a request cannot be answered: the cap is reached. Its code is that of an answer.
func (m *Meter) Fault(stream string) *health.Fault {
	s := m.State()
	return health.UserFault(CodeReached, nil, "The upload of stream %s stopped, as the cap of the line ("+Setting+"=%s) is reached (%s of "+
		"%s): no media is uploaded %s. Raise the cap, or ask again then.", stream, s.Cap.String(), health.Varying(humanize.Bytes(s.Used)),
		humanize.Bytes(s.Cap.Bytes), health.Varying(s.until()))
}

// reportSaved reports the result of a write.
func (m *Meter) reportSaved(name string, capped bool, err error) {
	if err == nil || !capped {
		if m.o.Health.OK(scopeSave) {
			logevent.CapSaved.Log(m.o.Log)
		}
		return
	}
	fault := health.SystemFault(codeState, err, "How much of the line's cap is used cannot be saved: if the agent is restarted now, what was "+
		"sent since the last write does not count. To repair it, %s; it is tried again every few seconds.", m.o.Dir.Advice(name, err))
	if m.o.Health.Report(scopeSave, health.Degraded, fault) {
		logevent.Condition(m.o.Log, fault)
	}
}

// reportLost reports that the count of earlier processes is not known.
func (m *Meter) reportLost(err error) {
	fault := health.SystemFault(codeState, err, "What was sent in this period before %s is not known, as the files with its count were "+
		"damaged: the count of the line's cap began again at 0. Check the disk of the state directory, and the provider's own count.",
		health.Varying(humanize.Time(m.o.Clock.Now().In(m.o.Zone))))
	m.o.Health.Note(scopeLost, health.Degraded, fault, shownLost)
	logevent.Condition(m.o.Log, fault)
}

const (
	// tick is how often the clock and the cap are compared.
	tick = 5 * time.Second
	// leastTick is how soon the clock is read again at midnight.
	leastTick = 10 * time.Millisecond
)

// Run saves, and reports, until ctx ends. It returns nil.
func (m *Meter) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake.C():
			m.save(false)
		case <-timer.C:
			m.mu.Lock()
			m.roll()
			due := m.due(m.o.Clock.Now())
			m.mu.Unlock()
			if due {
				m.save(false)
			}
			timer.Reset(m.untilTick())
		}
		m.judge()
	}
}

// untilTick is how long to wait for the next comparison, which is not later than the end of the day.
func (m *Meter) untilTick() time.Duration {
	now := m.o.Clock.Now().In(m.o.Zone)
	return min(pulse.Until(tick), max(midnight(dateOf(now).AddDate(0, 0, 1), m.o.Zone).Sub(now), leastTick))
}

// Close saves what was counted, when nothing is sent any more.
func (m *Meter) Close() {
	if m != nil {
		m.save(true)
	}
}
