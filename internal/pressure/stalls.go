// Package pressure owns what the kernel says about the hub that the agent runs on: how long the agent waited for processor, disk and
// memory, how hot the hub is, and how worn its eMMC; and the conditions that follow when the agent cannot keep up. It must not
// know what the agent does: it receives how late that is.
package pressure

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Stall is the share of the time in which tasks waited, in percent of the last 10, 60 and 300 s, and their sum since the control group
// began.
type Stall struct {
	Avg10  float64       `json:"avg10"`
	Avg60  float64       `json:"avg60"`
	Avg300 float64       `json:"avg300"`
	Total  time.Duration `json:"totalNs"`
}

// Stalls are those of one resource: in Some at least one task waited, in Full all that had something to do.
type Stalls struct {
	Some Stall `json:"some"`
	Full Stall `json:"full"`
}

var errStalls = errors.New("it has no line `some` of pressure stall information")

// ParseStalls reads a file cpu.pressure, io.pressure or memory.pressure. What it does not know is left out, as kernels add to it.
func ParseStalls(text []byte) (s Stalls, err error) {
	found := false
	for line := range bytes.Lines(text) {
		kind, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		into := &s.Full
		switch string(kind) {
		case "some":
			into, found = &s.Some, true
		case "full":
		default:
			continue
		}
		if *into, err = parseStall(rest); err != nil {
			return Stalls{}, err
		}
	}
	if !found {
		return Stalls{}, errStalls
	}
	return s, nil
}

func parseStall(line []byte) (s Stall, err error) {
	for field := range bytes.FieldsSeq(line) {
		name, value, _ := bytes.Cut(field, []byte("="))
		switch string(name) {
		case "avg10":
			s.Avg10, err = parseShare(value)
		case "avg60":
			s.Avg60, err = parseShare(value)
		case "avg300":
			s.Avg300, err = parseShare(value)
		case "total":
			var us int64
			us, err = strconv.ParseInt(string(value), 10, 64)
			if err == nil && (us < 0 || us > int64(1<<63-1)/int64(time.Microsecond)) {
				err = strconv.ErrRange
			}
			s.Total = time.Duration(us) * time.Microsecond
		}
		if err != nil {
			return Stall{}, fmt.Errorf("%s of pressure stall information is wrong: %w", name, err)
		}
	}
	return s, nil
}

// parseShare reads a number of percent.
func parseShare(text []byte) (float64, error) {
	share, err := strconv.ParseFloat(string(text), 64)
	if err == nil && !(share >= 0 && share <= 100) {
		err = strconv.ErrRange
	}
	return share, err
}
