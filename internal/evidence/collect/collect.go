// Package collect makes evidence of recordings in a store: it reads the media as an export writes it, and has the manifest signed. The
// client that asked for the evidence writes the media itself, from an export of the same time.
package collect

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
)

// MaxFragments is how many fragments of the time that is asked for evidence has at most: more than a day of 2 s each. A hub may have
// little memory, and needs some 2 KB for each while it makes the evidence.
const MaxFragments = 50_000

// Hub is who makes evidence.
type Hub struct {
	Thing, ARN string
	Version    string // of the agent
	Clock      *hubclock.Clock
	// Certificate returns the present certificate with its key; nil with a sentence where there is none.
	Certificate func() (*tls.Certificate, error)
	// Number returns the number that the cloud gave a fragment with that producer timestamp; nil: no numbers are known.
	Number func(stream string, at time.Time) (number string, ok bool)
	// Most is how many fragments the evidence may have; zero: MaxFragments.
	Most int
}

// Ready is nil where the hub can sign evidence of a stream now, and else says why it cannot.
func (h Hub) Ready(stream string) error {
	_, err := h.signer(stream)
	return err
}

func (h Hub) signer(stream string) (*tls.Certificate, error) {
	device, err := h.Certificate()
	if err != nil {
		return nil, health.UserFault(export.Code, err, "Evidence of stream %s cannot be signed: %s.", stream, err)
	}
	return device, nil
}

// Evidence has all parts of an archive but the media, and says of which time that is to be exported. Sums are for an archive that is sent
// while that is done.
type Evidence struct {
	evidence.Signed
	From, To time.Time
	Sums     evidence.Sums
}

// Make makes evidence of the media in [from, to); a zero time is unbounded. It takes one GOP more, see moreTo.
func Make(ctx context.Context, store *segment.Store, hub Hub, stream string, from, to time.Time) (e Evidence, err error) {
	device, err := hub.signer(stream)
	if err != nil {
		return e, err
	}
	more := moreTo(ctx, store, stream, to)
	m := newManifest(hub, stream, from, to, more)
	until, most := to, cmp.Or(hub.Most, MaxFragments)
	if !more.IsZero() {
		until = more
	}
	var oldest, newest time.Time // when fragments start
	sums := &sums{hash: sha256.New(), rest: crc32.NewIEEE()}
	_, _ = sums.hash.Write(sums.link[:]) // it never fails
	result, err := export.Run(ctx, store, export.Options{Stream: stream, From: from, To: until, Copied: func(c export.Copied) error {
		if len(m.Fragments) == most+1 { // the last one for a camera's signature
			return health.UserFault(export.Code, nil, "Evidence of stream %s would have more than %d fragments: ask for the time up to %s, "+
				"and then for the rest.", stream, most, m.Fragments[most].From.Format(time.RFC3339))
		}
		f := evidence.Fragment{From: c.From.UTC(), To: c.To.UTC(), Damaged: !c.Intact}
		if hub.Number != nil {
			if number, ok := hub.Number(stream, c.At); ok {
				f.Number = number
			}
		}
		f.Bytes, f.SHA256 = sums.next()
		m.Fragments = append(m.Fragments, f)
		if oldest.IsZero() || c.From.Before(oldest) {
			oldest = c.From
		}
		if c.From.After(newest) {
			newest = c.From
		}
		return nil
	}}, sums)
	if err != nil {
		return e, err
	}
	e.From, e.To = exported(from, until, oldest, newest)
	m.From, m.To = result.From.UTC(), result.To.UTC()
	m.Media, e.Sums = sums.media(), sums.forSending()
	m.Clock = clockOf(hub.Clock, store, stream, result)
	m.Created, _ = hub.Clock.Time()
	m.Created = m.Created.UTC().Round(0).Truncate(time.Millisecond)
	for _, g := range result.Gaps {
		m.Gaps = append(m.Gaps, evidence.Gap{From: g.From.UTC(), To: g.To.UTC(), Deleted: g.Deleted})
	}
	for _, d := range result.Damaged {
		m.Lost = append(m.Lost, evidence.Lost{From: d.From.UTC(), To: d.To.UTC(), File: d.Path})
	}
	text, err := m.Encode()
	if err == nil {
		e.Signed, err = evidence.Sign(text, device)
	}
	if err != nil {
		return e, health.UserFault(export.Code, err, "Evidence of stream %s cannot be made: %s; where it is too long ask for a shorter time.",
			stream, err)
	}
	return e, nil
}

// exported returns of which time the media of [from, to) is to be exported, of which fragments start between oldest and newest: it has
// these, and none that are recorded meanwhile. It begins as asked, as the fragment before may end when the first one starts.
func exported(from, to, oldest, newest time.Time) (begin, end time.Time) {
	if begin = from; begin.IsZero() {
		begin = oldest
	}
	if end = newest; begin.After(end) {
		end = begin
	}
	if end = end.Add(time.Millisecond); !to.IsZero() && end.After(to) {
		end = to
	}
	return begin, end
}

// newManifest returns a manifest without media.
func newManifest(hub Hub, stream string, from, to, more time.Time) evidence.Manifest {
	optional := func(t time.Time) *time.Time {
		if t = t.UTC(); t.IsZero() {
			return nil
		}
		return &t
	}
	return evidence.Manifest{
		Kind: evidence.Kind, Version: evidence.Version, Claim: evidence.Claim, Agent: hub.Version, Stream: stream,
		Hub:       evidence.Hub{Thing: hub.Thing, ARN: hub.ARN},
		Asked:     evidence.Asked{From: optional(from), To: optional(to), MoreTo: optional(more)},
		Fragments: []evidence.Fragment{}, Gaps: []evidence.Gap{}, Lost: []evidence.Lost{}, Receipts: hub.Number != nil,
	}
}

// clockOf says how far the times of the media are to be relied on.
func clockOf(clock *hubclock.Clock, store *segment.Store, stream string, result export.Result) evidence.Clock {
	trust := clock.Trust()
	c := evidence.Clock{Trusted: trust != hubclock.Untrusted, Why: trust.String(), AheadMS: clock.Ahead().Milliseconds(),
		Corrections: []evidence.Correction{}}
	for _, d := range store.Misdated(stream) {
		from, to := d.From.Add(d.Offset), d.To.Add(d.Offset)
		if !d.Known {
			from, to = d.From, d.RecordedTo
		}
		if from.After(result.To) || to.Before(result.From) {
			continue
		}
		c.Corrections = append(c.Corrections, evidence.Correction{From: d.From.UTC(), To: d.To.UTC(), Unset: d.Unset,
			AddMS: d.Offset.Milliseconds(), Known: d.Known})
	}
	return c
}

// sums is the file of an export that is not kept: only its sums are. What is written again of the head is put there, and what is written
// again of a fragment is not, as in an export that is sent while it is written.
type sums struct {
	head  []byte
	size  int64
	ended int64 // how much is in fragments that ended
	link  [sha256.Size]byte
	hash  hash.Hash
	rest  hash.Hash32 // of all but the head
}

// Write implements io.Writer.
func (s *sums) Write(p []byte) (int, error) {
	if s.size == 0 { // a writer writes the head at once
		s.head, s.ended = bytes.Clone(p), int64(len(p))
	} else {
		_, _ = s.hash.Write(p) // it never fails
		_, _ = s.rest.Write(p)
	}
	s.size += int64(len(p))
	return len(p), nil
}

// WriteAt implements io.WriterAt.
func (s *sums) WriteAt(p []byte, offset int64) (int, error) {
	switch {
	case offset == s.size:
		return s.Write(p)
	case offset+int64(len(p)) <= int64(len(s.head)):
		copy(s.head[offset:], p)
	}
	return len(p), nil
}

// next returns how many bytes were written since the last call, and their link of the chain.
func (s *sums) next() (size int64, link string) {
	size, s.ended = s.size-s.ended, s.size
	s.hash.Sum(s.link[:0])
	s.hash.Reset()
	_, _ = s.hash.Write(s.link[:]) // it never fails
	return size, hex.EncodeToString(s.link[:])
}

func (s *sums) forSending() evidence.Sums {
	return evidence.Sums{Head: s.head, CRC: evidence.JoinedCRC(s.head, s.rest.Sum32(), s.size-int64(len(s.head)))}
}

func (s *sums) media() evidence.Media {
	var m evidence.Media
	var head evidence.Chain
	m.Head.Bytes = int64(len(s.head))
	m.Head.SHA256, _ = head.Next(bytes.NewReader(s.head)) // bytes in memory can be read
	m.Tail.Bytes, m.Tail.SHA256 = s.next()
	m.File, m.Type, m.Bytes = evidence.MediaFile, evidence.MediaType, s.size
	return m
}

// moreTo returns up to when fragments are added behind a time, so that one GOP more is in the evidence: a camera that signs its video
// (ONVIF Media Signing, Axis) has the signature of a GOP in the next one. Where none follows at once it is zero.
func moreTo(ctx context.Context, store *segment.Store, stream string, to time.Time) (more time.Time) {
	if to.IsZero() {
		return more
	}
	const most = 10 // segments, which may be as short as a second
	last := to      // the end of the media up to there without a gap
	for _, info := range store.SegmentsFrom(segment.Before(stream), to.Add(-segment.GapAfter), time.Time{}, most) {
		r, err := store.OpenSegmentWhile(ctx, info.Key)
		if err != nil {
			if errors.Is(err, segment.ErrNotFound) {
				continue
			}
			return more // the export says what is wrong
		}
		fragments, _, err := r.Fragments()
		for _, f := range fragments {
			start := r.RecordedAt(f.Start)
			if start.Before(to) { // the fragment of that time may last for long
				if end := r.RecordedAt(f.Last); end.After(last) {
					last = end
				}
				continue
			}
			if start.Sub(last) > segment.GapAfter {
				break
			}
			more, last = start.Add(time.Millisecond), r.RecordedAt(f.Last)
			if f.Keyframe {
				_ = r.Close() // it was only read
				return more
			}
		}
		if closeErr := r.Close(); err != nil || closeErr != nil {
			return more
		}
	}
	return more
}
