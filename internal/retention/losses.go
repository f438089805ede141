package retention

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// rememberLoss is how long status tells of a loss after the last one.
	rememberLoss = 24 * time.Hour
	// forgetLoss is how long the counts of a stream are kept that is no more.
	forgetLoss = 30 * 24 * time.Hour
)

// loss is what a stream lost before its upload.
type loss struct {
	Segments int64     `json:"segments"`
	Bytes    int64     `json:"bytes"`
	Since    time.Time `json:"since"` // of the first
	Last     time.Time `json:"last"`
	Reason   string    `json:"reason"` // of the last

	told bool // in a condition
}

// lose accounts for a segment that was deleted before it was uploaded.
func (k *Keeper) lose(s segment.Info, why string) {
	part := k.o.Health.Component(s.Stream, health.JobRetention)
	segments, bytes := part.Counter(health.DeletedBeforeUpload), part.Counter(health.DeletedBeforeUploadBytes)
	segments.Add(1)
	bytes.Add(s.Bytes)
	l := k.losses[s.Stream]
	if l.Last = k.o.Now(); segments.Load() == 1 || l.Since.IsZero() {
		l.Since = l.Last
	}
	l.Segments, l.Bytes, l.Reason = segments.Load(), bytes.Load(), why
	l.raise(part)
	k.losses[s.Stream], k.unkept = l, true
}

func (l *loss) raise(part *health.Component) {
	l.told = true
	part.Report(scopeLost, health.Degraded, health.SystemFault(codeLost, nil,
		"Recordings were deleted before they were uploaded since %s: %s (%s), the last one because %s: check the upload schedule and the network, or give the stream more space.",
		l.Since.UTC().Format(time.DateOnly), humanize.Count(l.Segments, "segment"), humanize.Bytes(l.Bytes), l.Reason))
}

// forgive ends the conditions of losses of long ago. Their times follow the clock when it is set. One
// from a file that seems to be of the future is of a clock that was ahead: from a clock that is right
// its time counts anew, or it would be told for years.
func (k *Keeper) forgive(now time.Time, synchronised bool) {
	for stream, l := range k.losses {
		since, last := health.Redate(l.Since, now), health.Redate(l.Last, now)
		if synchronised && last.After(now) {
			last = now
			if since.After(now) {
				since = now
			}
		}
		if !since.Equal(l.Since) || !last.Equal(l.Last) {
			l.Since, l.Last = since, last
			if l.told {
				l.raise(k.o.Health.Component(stream, health.JobRetention))
			}
			k.losses[stream], k.unkept = l, true
		}
		if l.told && now.Sub(l.Last) > rememberLoss {
			l.told = false
			k.losses[stream] = l
			k.o.Health.Component(stream, health.JobRetention).OK(scopeLost)
		}
	}
}

// recallLosses reads what was lost before this start.
func (k *Keeper) recallLosses() {
	if k.o.Losses == "" {
		return
	}
	var before map[string]loss
	data, err := os.ReadFile(k.o.Losses)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.o.Log.Warn("cannot read how much was deleted before its upload: it is counted anew", zap.String("file", k.o.Losses), zap.Error(err))
		}
		return
	}
	now := k.o.Now()
	for stream, l := range before {
		part := k.o.Health.Component(stream, health.JobRetention)
		part.Counter(health.DeletedBeforeUpload).Restore(l.Segments)
		part.Counter(health.DeletedBeforeUploadBytes).Restore(l.Bytes)
		if now.Sub(l.Last) <= rememberLoss {
			l.raise(part)
		}
		k.losses[stream] = l
	}
}

// keepLosses writes the file when there is something new to say, once a pass.
func (k *Keeper) keepLosses(now time.Time) {
	if k.o.Losses == "" || !k.unkept && (len(k.losses) == 0 || !vanished(k.o.Losses)) {
		return
	}
	there := make(map[string]bool)
	for _, stream := range k.streams() {
		there[stream] = true
	}
	for stream, l := range k.losses {
		if !there[stream] && now.Sub(l.Last) > forgetLoss {
			delete(k.losses, stream)
		}
	}
	part := k.o.Health.Component("", health.JobRetention)
	data, err := json.Marshal(k.losses)
	if err == nil {
		err = replace(k.o.Losses, append(data, '\n'))
	}
	if err != nil {
		if part.Report(scopeKeep, health.Info, health.SystemFault(codeLosses, err,
			"How much was deleted before its upload cannot be kept in %s, so it is counted anew after a restart: check the disk of that directory.", k.o.Losses)) {
			k.o.Log.Warn("cannot keep how much was deleted before its upload", zap.String("code", codeLosses), zap.Error(err))
		}
		return // the next pass tries again
	}
	k.unkept = false
	part.OK(scopeKeep)
}

// vanished reports whether somebody removed a file.
func vanished(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
