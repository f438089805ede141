package scheduler

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Expression is a Quartz cron expression in a time zone. It is immutable and safe for concurrent use.
type Expression struct {
	text  string
	rules *rules
	zone  *time.Location // nil: the system's
}

var _ cron.Schedule = (*Expression)(nil)

// Parse reads an expression. It is evaluated in loc; when loc is nil or time.Local, in the
// system's time zone (a Runner then follows changes of it). An error is a *ParseError.
func Parse(expr string, loc *time.Location) (*Expression, error) {
	r, err := parseRules(expr)
	if err != nil {
		return nil, err
	}
	if loc == time.Local {
		loc = nil
	}
	return &Expression{text: expr, rules: r, zone: loc}, nil
}

// Check returns the error of an expression: nil or a *ParseError.
func Check(expr string) error {
	_, err := parseRules(expr)
	return err
}

// String returns the expression as it was written.
func (e *Expression) String() string { return e.text }

// Next implements cron.Schedule: it returns the first second after t at which the expression fires, in the expression's
// zone. It is zero when there is none within the next 100 years.
func (e *Expression) Next(t time.Time) time.Time { return e.nextIn(t, time.Local) }

// nextIn is Next where system is the system's time zone.
func (e *Expression) nextIn(t time.Time, system *time.Location) time.Time {
	zone := e.zone
	if zone == nil {
		zone = system
	}
	unix, ok := e.rules.next(t.Unix(), &offsets{zone: zone})
	if !ok {
		return time.Time{}
	}
	return time.Unix(unix, 0).In(zone)
}
