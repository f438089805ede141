package desired

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// Schedule says when something is done. The zero value is always. Only InWindows makes one with an expression, which it
// checks, so that every Schedule can be followed. It is comparable.
type Schedule struct {
	when       when
	expression string        // Quartz, for windows
	length     time.Duration // of each window
}

type when uint8

const (
	always when = iota
	never
	hourly
	windows
)

// Always is without a pause.
func Always() Schedule { return Schedule{} }

// Never is on request only.
func Never() Schedule { return Schedule{when: never} }

// Hourly is once an hour, at a minute of the hub's own, for as long as it takes but not into the next hour.
func Hourly() Schedule { return Schedule{when: hourly} }

// InWindows is whenever the Quartz expression fires, for that long. The error is that of scheduler.Check.
func InWindows(expression string, length time.Duration) (Schedule, error) {
	if err := scheduler.Check(expression); err != nil {
		return Schedule{}, err
	}
	return Schedule{when: windows, expression: expression, length: length}, nil
}

// IsHourly reports whether it is Hourly.
func (s Schedule) IsHourly() bool { return s.when == hourly }

// IsNever reports whether it is Never.
func (s Schedule) IsNever() bool { return s.when == never }

// Windows returns the Quartz expression and the length of each window; ok is false when it has none.
func (s Schedule) Windows() (expression string, length time.Duration, ok bool) {
	return s.expression, s.length, s.when == windows
}

// hourlyWindow is how long an hourly window may last: nearly until the next begins.
const hourlyWindow = 59 * time.Minute

// Plan returns its windows in the hub's time zone. offset is the time of the hour at which hourly ones begin.
func (s Schedule) Plan(offset time.Duration) scheduler.Plan {
	switch s.when {
	case never:
		return scheduler.Never()
	case hourly:
		return scheduler.Hourly(offset, hourlyWindow)
	case windows:
		if expression, err := scheduler.Parse(s.expression, time.Local); err == nil { // InWindows has checked it
			return scheduler.Windows(expression, s.length)
		}
		return scheduler.Never()
	default:
		return scheduler.Always()
	}
}

// String says in words when it is: "always", "every hour", or "every day at 9:00, for 1 h".
func (s Schedule) String() string {
	switch s.when {
	case never:
		return "on request only"
	case hourly:
		return "every hour"
	case windows:
		expression, err := scheduler.Parse(s.expression, time.Local)
		if err != nil {
			return s.expression
		}
		return fmt.Sprintf("%s, for %s", scheduler.Describe(expression), humanize.Length(s.length))
	default:
		return "always"
	}
}
