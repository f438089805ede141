package uploader

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// split is a fragment that is sent as several, each beginning with a keyframe: the line breaks before it is
// through whole, or the service does not take it as it is. Which parts are done is known to this process
// only: after its end all of them are sent again.
type split struct {
	audio   Audio // the sound that the parts are for
	parts   []mkv.Part
	done    []bool
	refused *verdict // of the first part that the service refused
	single  bool     // one part a session, so that it alone is to blame
}

// split makes a fragment be sent in parts from now on. It reports whether that is possible.
func (u *Uploader) split(s shot) bool {
	x := u.suspects.list[s.id()]
	if s.split != nil || x != nil && x.split != nil {
		return false
	}
	reader, err := u.o.Store.OpenSegment(s.key)
	if err != nil {
		return false // the next session finds out
	}
	defer func() { _ = reader.Close() }() // was only read
	audio := u.o.Audio()
	parts, err := mkv.Parts(reader, s.frag, mkv.Select(reader.Header(), audio.sends), kvslimit.MinFragment)
	if err != nil || len(parts) < 2 {
		return false
	}
	if x == nil {
		x = u.suspects.suspect(s)
	}
	x.split = &split{audio: audio, parts: parts, done: make([]bool, len(parts))}
	x.row, x.breaks, x.aside = 0, 0, false
	u.log.Info("a fragment is sent in parts", zap.Int64("timecode", s.at()), zap.Int("parts", len(parts)))
	return true
}

// next gives the first part from i on that is not done.
func (p *split) next(i int) (part int, ok bool) {
	for ; i < len(p.parts); i++ {
		if !p.done[i] {
			return i, true
		}
	}
	return 0, false
}

// finish notes that a part needs not be sent again. It reports whether none has to.
func (p *split) finish(part int) (whole bool) {
	p.done[part] = true
	return !slices.Contains(p.done, false)
}

// follow splits the fragment again when other tracks of it are sent now. Parts that are in flight stay those of p:
// what is acknowledged of them says nothing of the others.
func (p *split) follow(q *queue, f mkv.Fragment) *split {
	if p.audio == q.chosen.audio {
		return p
	}
	parts, err := mkv.Parts(q.reader, f, q.chosen.Selection, kvslimit.MinFragment)
	if err != nil {
		return p // the session fails with it
	}
	return &split{audio: q.chosen.audio, parts: parts, done: make([]bool, len(parts)), single: p.single}
}
