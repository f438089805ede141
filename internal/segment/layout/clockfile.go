package layout

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// ClockNote is a note about a stream's times: which are wrong, or when an epoch began. Times are in Unix ms.
type ClockNote struct {
	Epoch uint32 `json:"epoch,omitempty"`
	// From and Until are the first and the last wrong time as the files have them; Until 0 means the epoch's end.
	From  int64 `json:"from"`
	Until int64 `json:"until"`
	// AddMS is to be added to them. With Ahead, 0 means that it is not known.
	AddMS int64 `json:"addMs"`
	// Ahead is true when the times were ahead, which ended the epoch; otherwise the clock was not set.
	Ahead bool `json:"ahead,omitempty"`
	// GuessMS replaces AddMS where that is not known, except for producer timestamps: with it the last frame was recorded
	// when the next epoch began.
	GuessMS int64 `json:"guessMs,omitempty"`
	// Begin is when Epoch began. Such a note has no other content.
	Begin int64 `json:"begin,omitempty"`
}

// Last returns the last wrong time.
func (n ClockNote) Last() int64 {
	if n.Ahead && n.Until == 0 {
		return math.MaxInt64 - 1
	}
	return n.Until
}

// Known reports whether the time to be added is known.
func (n ClockNote) Known() bool { return !n.Ahead || n.AddMS != 0 }

// ReadClock reads the side file. A missing or torn one has no notes.
func ReadClock(files atomicfile.FileSystem, dir string) (notes []ClockNote) {
	data, err := files.ReadFile(filepath.Join(dir, ClockFileName))
	if err != nil || json.Unmarshal(data, &notes) != nil {
		return nil
	}
	return slices.DeleteFunc(notes, func(n ClockNote) bool { return n.Epoch > MaxEpoch })
}

// WriteClock writes the side file, durably.
func WriteClock(files atomicfile.FileSystem, dir string, notes []ClockNote) error {
	data, err := json.Marshal(notes)
	if err != nil {
		return err
	}
	return atomicfile.Replace(files, filepath.Join(dir, ClockFileName), append(data, '\n'), FileMode)
}
