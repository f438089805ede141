// Package meter owns how much the hub sends and receives over its line to AWS: it counts the bytes of all connections,
// beyond the life of the process, and says what may still be sent within a cap per day or month. It must not know what the
// bytes are, nor how they are sent.
//
// All of both directions counts, as it does on the bill of a metered line. What was sent is on the disk before it is sent:
// the file has more than was counted, by a reservation that is renewed when half of it is used. So a kill or a power cut
// loses none of it, and counts at most the rest of the reservation too much.
//
// A period ends with a day that the hub's clock is known to have reached. While the clock is not trusted no period ends, and
// what is counted meanwhile belongs to both periods that it may belong to; see history.
package meter

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// Class is what media is sent for. What is not media, such as configurations and metrics, is sent in any case, and counts.
type Class uint8

// The classes, that with the smallest share of the cap first.
const (
	Backlog Class = iota // recordings that were not sent when they were made: all of a scheduled upload
	Live                 // the newest media, of a live upload
	Request              // what a person or an event asked for
	classes
)

// shares are up to which percentage of the cap each class is sent.
var shares = [classes]int64{Backlog: 90, Live: 95, Request: 100}

// Answer is whether a fragment may be sent.
type Answer uint8

// The answers.
const (
	Granted Answer = iota
	Later          // what is in flight, or a write to the disk, decides: ask again when Watch receives
	Refused        // not before the period ends, or the cap is raised
)

// Clock is the hub's clock; see hubclock.Clock.
type Clock interface {
	// Time returns the time, and whether it is known.
	Time() (now time.Time, known bool)
	// Now has the monotonic reading.
	Now() time.Time
}

// Options of a Meter. Dir and Clock are required.
type Options struct {
	Dir    statefile.Dir
	Clock  Clock
	Cap    Cap
	Zone   *time.Location    // of the hub. Default time.Local
	Health *health.Component // Default: one that nobody reads
	Log    *zap.Logger       // Default: none
}

// Meter counts. Safe for concurrent use.
type Meter struct {
	o Options

	sent, received atomic.Int64 // bytes of TCP payload since the start of the process
	mark           atomic.Int64 // the sum of both at which Run has to save
	wake           signal.Signal
	watchers       signal.Watchers
	saving         sync.Mutex // held while a file is written
	reporting      sync.Mutex // held while a condition is reported

	mu       sync.Mutex // guards everything below
	cap      Cap
	days     history
	bookedIn int64  // of received that is in days
	bookedTo int64  // of sent that is in days
	date     string // of the last entry of days
	known    bool   // whether the clock showed it the last time
	period   string // the first date of the present period; empty while no date was ever known
	past     int64  // payload of the present period without the last entry of days
	began    time.Time
	pledged  int64 // payload of the fragments that are being sent
	waiting  bool  // somebody was answered Later
	refused  [classes]bool
	tooLarge int64 // bytes of a fragment that fits its share in no period; 0 = none was asked for
	file     fileState
}

// Open returns the meter as the last process left it. It writes nothing before Run. A nil Meter counts nothing.
func Open(o Options) *Meter {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Clock.Now).Component("", health.JobCloud)
	}
	m := &Meter{o: o, cap: o.Cap, wake: signal.New()}
	m.read()
	m.roll()
	m.begin()
	return m
}

// add counts n bytes of one direction; other is the counter of the other one.
func (m *Meter) add(direction, other *atomic.Int64, n int) {
	if n <= 0 {
		return
	}
	if total := direction.Add(int64(n)) + other.Load(); total >= m.mark.Load() {
		m.mark.Store(math.MaxInt64) // once is enough
		m.wake.Set()
	}
}

// total is all that was counted since the start of the process.
func (m *Meter) total() int64 { return m.sent.Load() + m.received.Load() }

// Follow replaces the cap. What was counted of the period stays counted: another period takes it from the days.
func (m *Meter) Follow(c Cap) {
	m.mu.Lock()
	m.cap = c
	m.roll()
	m.begin()
	m.refused, m.tooLarge = [classes]bool{}, 0
	m.mu.Unlock()
	m.mark.Store(0)
	m.wake.Set()
	m.judge()
	m.watchers.Notify()
}

// Watch returns a channel that receives when what was refused, or has to wait, may be sent.
func (m *Meter) Watch() (changes <-chan struct{}, stop func()) { return m.watchers.Watch() }

// margin is how much more than itself the sending of a fragment costs at most: records of TLS, chunks of HTTP, and
// acknowledgements.
func margin(fragment int64) int64 { return fragment + fragment/64 + 4<<10 }

// Take takes that many bytes of a fragment from the share of its class, until Return.
func (m *Meter) Take(class Class, fragment int64) Answer {
	m.mu.Lock()
	answer := m.answer(class, margin(fragment))
	if answer == Granted {
		m.pledged += margin(fragment)
	}
	m.waiting = m.waiting || answer == Later
	m.mu.Unlock()
	if answer == Refused {
		m.judge()
	}
	return answer
}

// May is Take for somebody who wants to know whether to ask.
func (m *Meter) May(class Class, fragment int64) Answer {
	m.mu.Lock()
	answer := m.answer(class, margin(fragment))
	m.mu.Unlock()
	if answer == Refused {
		m.judge()
	}
	return answer
}

// Return is called when a fragment that was granted was sent, or was given up: what was sent is counted.
func (m *Meter) Return(fragment int64) {
	m.mu.Lock()
	m.pledged -= margin(fragment)
	wake := m.waiting
	m.waiting = false
	m.mu.Unlock()
	if wake {
		m.watchers.Notify()
	}
}

// answer decides about n bytes of payload. Called with mu held.
func (m *Meter) answer(class Class, n int64) Answer {
	if m.cap.IsNone() {
		return Granted
	}
	m.roll()
	share := float64(m.cap.Bytes) / 100 * float64(shares[class])
	used := m.payload()
	switch {
	case float64(m.cap.onLine(used+n)) > share:
		m.refused[class] = true
		if float64(m.cap.onLine(n)) > share {
			m.tooLarge = max(m.tooLarge, n)
		}
		return Refused
	case float64(m.cap.onLine(used+m.pledged+n)) > share:
		return Later
	case !m.file.covers(m.total() + m.pledged + n):
		m.file.wanted = max(m.file.wanted, m.pledged+n)
		m.wake.Set()
		return Later
	}
	return Granted
}

// payload is what was counted in the present period. Called with mu held, after roll.
func (m *Meter) payload() int64 {
	if n := len(m.days); n > 0 {
		return m.past + m.days[n-1].payload()
	}
	return 0
}

// roll books what was counted since the last call, and begins another day or period when the clock shows one. Called with
// mu held.
func (m *Meter) roll() {
	sent, received := m.sent.Load(), m.received.Load()
	if n := len(m.days); n > 0 {
		m.days[n-1].Sent += sent - m.bookedTo
		m.days[n-1].Received += received - m.bookedIn
		m.bookedTo, m.bookedIn = sent, received
	}
	now, known := m.o.Clock.Time()
	date := ""
	if known {
		date = now.In(m.o.Zone).Format(time.DateOnly)
	}
	if m.known = known; len(m.days) > 0 && date == m.date {
		return
	}
	if m.began.IsZero() && known {
		m.began = now.Round(0)
	}
	m.date = date
	m.days.book(date, 0, 0)
	if before := m.period; m.begin() && before != "" && !m.cap.IsNone() {
		logevent.CapPeriodBegan.Log(m.o.Log, zap.String("date", m.period), zap.Int64("counted", m.payload()))
	}
	m.file.until = 0 // what was reserved would count for the day before
	m.mark.Store(0)
	m.wake.Set()
}

// begin determines the present period, and which part of its payload is before the last entry. It reports whether it is another
// period than before. Called with mu held.
func (m *Meter) begin() (another bool) {
	period := ""
	if today, ok := m.today(); ok {
		period = m.cap.start(today).Format(time.DateOnly)
	}
	before := m.past
	m.past = m.days[m.days.since(period) : len(m.days)-1].payload()
	another, m.period = period != m.period, period
	if another || m.past < before {
		m.refused, m.tooLarge = [classes]bool{}, 0
	}
	m.watchers.Notify()
	return another
}

// today is the last date that was known. Called with mu held.
func (m *Meter) today() (time.Time, bool) {
	day, err := time.Parse(time.DateOnly, m.days.today())
	return day, err == nil
}
