package meter

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// files are the meter's in the state directory. They are written in turns, so that one that is damaged leaves the other.
var files = [2]string{"line-usage.json", "line-usage-2.json"}

const (
	// leastShare and mostShare are between which parts of the cap a reservation is: a kill counts at most that much too much, and
	// a whole period costs at most some 4,000 writes.
	leastShare   = 2000
	mostShare    = 100
	leastReserve = 64 << 10
	// soon is the time between two writes below which more is reserved.
	soon = 5 * time.Second
	// saveEvery is how often changes are written without a cap, to spare the flash. Nothing is reserved then: a kill loses them.
	saveEvery = 10 * time.Minute
)

// document is what a file has.
type document struct {
	Sequence int64     `json:"sequence"` // rises with each write
	Began    time.Time `json:"began,omitzero"`
	Days     history   `json:"days"`
	// Reserved is payload beyond Days that may have been sent since.
	Reserved int64 `json:"reserved"`
}

// plausible reports whether a document can be true.
func (d document) plausible() bool {
	sum := int64(0)
	for _, e := range d.Days {
		if _, err := time.Parse(time.DateOnly, e.Date); e.Date != "" && err != nil {
			return false
		}
		if min(e.Sent, e.Received) < 0 || max(e.Sent, e.Received) > mostCap {
			return false
		}
		sum += e.payload()
	}
	return d.Sequence >= 0 && d.Sequence <= math.MaxInt64/2 && d.Reserved >= 0 && d.Reserved <= mostCap && len(d.Days) <= maxEntries &&
		sum <= math.MaxInt64/2
}

// fileState is what is known of the files.
type fileState struct {
	sequence int64
	until    int64 // the process's count up to which the file has everything
	failing  bool  // the last write failed: nothing waits for the disk
	wanted   int64 // payload that is to be reserved in addition
	reserved int64 // the last time, without what was wanted
	savedAt  time.Time
	saved    int64 // the process's count then
}

// covers reports whether the file has that much of the process's count.
func (f fileState) covers(count int64) bool { return f.failing || count <= f.until }

// read takes over the newer of the files.
func (m *Meter) read() {
	var (
		found   document
		any     bool
		damaged error
	)
	for _, name := range files {
		var d document
		err := m.o.Dir.Read(name, &d)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && !d.plausible():
			damaged = fmt.Errorf("%s has numbers that cannot be true", name)
		case err != nil:
			damaged = fmt.Errorf("%s: %w", name, err)
		case !any || d.Sequence > found.Sequence:
			found, any = d, true
		}
	}
	if damaged != nil {
		// The one that is left may be the older: what the other one had reserved beyond it, up to twice as much, is counted too.
		found.Reserved *= 3
		m.damaged(damaged, any)
	}
	m.days, m.began, m.file.sequence = found.Days, found.Began, found.Sequence
	if found.Reserved > 0 {
		if len(m.days) == 0 {
			m.days.book("", 0, 0)
		}
		m.days[len(m.days)-1].Sent += found.Reserved
	}
	if n := len(m.days); n > 0 {
		m.date = m.days[n-1].Date
	}
}

// save writes what was counted, with a reservation for what will be sent until the next time.
func (m *Meter) save(closing bool) {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	m.roll()
	now, count := m.o.Clock.Now(), m.bookedTo+m.bookedIn
	reserve := int64(0)
	capped := !m.cap.IsNone()
	if !closing && capped {
		reserve = m.reserve(now, count)
	}
	m.file.sequence++
	d := document{Sequence: m.file.sequence, Began: m.began, Days: slices.Clone(m.days), Reserved: reserve}
	m.mu.Unlock()

	name := files[d.Sequence%int64(len(files))]
	err := m.o.Dir.Write(name, d)

	m.mu.Lock()
	m.file.failing = err != nil
	m.file.savedAt, m.file.saved = now, count
	if err == nil {
		m.file.until = count + reserve
	}
	mark := int64(math.MaxInt64)
	if reserve > 0 && err == nil {
		mark = count + reserve/2
	}
	m.mark.Store(mark)
	m.waiting = false
	m.mu.Unlock()
	m.reportSaved(name, capped, err)
	m.watchers.Notify()
}

// reserve is how much payload is written ahead: twice as much as the last time when that was used up soon, half of it when it
// lasted for long. Called with mu held.
func (m *Meter) reserve(now time.Time, count int64) int64 {
	f := &m.file
	switch passed := now.Sub(f.savedAt); {
	case passed < soon && count-f.saved >= f.reserved/2:
		f.reserved *= 2
	case passed > 4*soon:
		f.reserved /= 2
	}
	least := max(m.cap.Bytes/leastShare, leastReserve)
	f.reserved = min(max(f.reserved, least), max(m.cap.Bytes/mostShare, least))
	wanted := f.wanted
	f.wanted = 0
	return f.reserved + wanted
}

// due reports whether changes have to be written, apart from reservations. Called with mu held.
func (m *Meter) due(now time.Time) bool {
	return m.file.failing || m.total() > m.file.saved && now.Sub(m.file.savedAt) >= saveEvery
}

// damaged reports files that were damaged when the agent started; other is whether one was not.
func (m *Meter) damaged(err error, other bool) {
	logevent.LineUsageDamaged.Log(m.o.Log, zap.Error(err))
	if !other && !m.cap.IsNone() {
		m.reportLost(err)
	}
}
