package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// scheduleQuery asks when an expression fires.
type scheduleQuery struct {
	Expr  string `json:"expr"`
	Zone  string `json:"zone"`
	After *int64 `json:"after"` // Unix seconds; nil: now
	Count int    `json:"count"`
}

// scheduleAnswer has one of the two. Next is empty, not nil, when the expression never fires again.
type scheduleAnswer struct {
	Next  []int64 `json:"next,omitzero"`
	Error string  `json:"error,omitempty"`
}

func (a scheduleAnswer) write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(a)
}

// parse returns the expression in its zone.
func (q scheduleQuery) parse() (*scheduler.Expression, *time.Location, error) {
	zone := scheduler.SystemZone()
	if q.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(q.Zone); err != nil {
			return nil, nil, fmt.Errorf("the time zone %q is not known", q.Zone)
		}
	}
	for _, form := range []string{"cron(", "rate("} {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(q.Expr)), form) {
			return nil, nil, fmt.Errorf("%s…) is the form of EventBridge: write the six or seven fields of Quartz alone, seconds first", form)
		}
	}
	expression, err := scheduler.Parse(q.Expr, zone)
	return expression, zone, err
}

// anyValue finds the 99 that stands for every value, which may be a slip of the hand.
var anyValue = regexp.MustCompile(`(^|[ ,])99($|[ ,])`)

func (q scheduleQuery) next(e *scheduler.Expression) []time.Time {
	at := time.Now()
	if q.After != nil {
		at = time.Unix(*q.After, 0)
	}
	var starts []time.Time
	for len(starts) < q.Count {
		if at = e.Next(at); at.IsZero() {
			break
		}
		starts = append(starts, at)
	}
	return starts
}

func (q scheduleQuery) answer() scheduleAnswer {
	expression, _, err := q.parse()
	if err != nil {
		return scheduleAnswer{Error: err.Error()}
	}
	answer := scheduleAnswer{Next: []int64{}}
	for _, start := range q.next(expression) {
		answer.Next = append(answer.Next, start.Unix())
	}
	return answer
}
