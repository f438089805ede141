package retention

import (
	"errors"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// deletionOrder deletes uploaded segments before others; within each the oldest first. A segment with refused fragments
// counts as not uploaded: they exist only here. What a hold holds is in neither.
var deletionOrder = [2]segment.Kinds{
	segment.UploadedWhole | segment.Deletable, segment.NotUploaded | segment.UploadedRefused | segment.Deletable,
}

// order returns deletionOrder as far as it applies to a stream: before its policy is known only uploaded segments may be
// deleted.
func (k *Keeper) order(stream string) []segment.Kinds {
	if k.decided(stream) {
		return deletionOrder[:]
	}
	return deletionOrder[:1]
}

// uploaded reports whether all of a segment is uploaded.
func uploaded(s segment.Info) bool { return s.State == segment.Uploaded && !s.Refused }

// deletion is the result of deleting a segment.
type deletion uint8

const (
	gone      deletion = iota
	absent             // somebody else deleted its file: the agent freed nothing
	inUse              // the next pass tries again; or a hold was added meanwhile
	diskFails          // no other segment of the stream can be deleted now either
)

// delete removes a segment and accounts for it. Before the policy of its stream is known it deletes uploaded segments only.
func (k *Keeper) delete(s segment.Info, why string) deletion {
	if !uploaded(s) && !k.decided(s.Stream) {
		return inUse
	}
	held, _ := k.o.Store.Held(s.Key)
	ours := k.o.Store.SameDisk(s.Stream) // the account is of the disk of the recording directory, as Store.Deleted is
	err := k.o.Store.Delete(s.Key)
	switch {
	case errors.Is(err, segment.ErrNotFound):
		return absent
	case errors.Is(err, segment.ErrBusy), errors.Is(err, hold.ErrHeld):
		return inUse
	case err != nil:
		k.stuck[s.Stream] = true
		k.reportDisk(s.Stream, err)
		if !errors.Is(err, segment.ErrLeft) {
			return diskFails
		}
	}
	if ours {
		k.account.note(k.o.Uptime(), s.Bytes, held)
	}
	k.accountFor(s, why)
	if err != nil {
		return diskFails // the others would be left as well, most likely
	}
	return gone
}

// reportDisk reports that the media of a stream cannot be deleted.
func (k *Keeper) reportDisk(stream string, err error) {
	fault := health.FaultOf(err, segment.CodeDisk)
	if k.o.Health.Component(stream, health.JobRetention).Report(health.ScopeDisk, health.Degraded, fault) {
		logevent.Condition(k.o.Log, fault, zap.String("stream", stream))
	}
}

// accountFor counts a deleted segment, and says that it is lost if it was not uploaded.
func (k *Keeper) accountFor(s segment.Info, why string) {
	part := k.o.Health.Component(s.Stream, health.JobRetention)
	part.Counter(health.SegmentsDeleted).Add(1)
	part.Counter(health.BytesDeleted).Add(s.Bytes)
	fields := []zap.Field{
		zap.String("stream", s.Stream), zap.Time("start", s.StartTime()), zap.Time("end", s.End), zap.Int64("bytes", s.Bytes),
		zap.String("reason", why),
	}
	if uploaded(s) {
		k.o.Log.Debug("uploaded segment deleted", fields...)
		return
	}
	if k.policy(s.Stream).Local {
		logevent.SegmentDeleted.Log(k.o.Log, fields...)
		return
	}
	if s.Refused {
		fields = append(fields, zap.Bool("refused", true))
	}
	logevent.Condition(k.o.Log, k.losses.add(s, why), fields...)
}
