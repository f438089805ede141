package queue

import (
	"io"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// Split is a fragment that is sent as several, each beginning with a keyframe: the connection breaks before it is
// sent completely, or the service does not accept it in one piece. Which parts are done is kept in memory
// only: after a restart of the agent all of them are sent again.
type Split struct {
	Refused *rules.Answer // to the first part that the service refused
	Single  bool          // one part a session, so that only it can be the cause of a failure

	audio Audio // the audio setting that the parts were made for
	parts []mkv.Part
	done  []bool
}

func newSplit(audio Audio, parts []mkv.Part) *Split {
	return &Split{audio: audio, parts: parts, done: make([]bool, len(parts))}
}

// Parts returns how many parts there are.
func (p *Split) Parts() int { return len(p.parts) }

// next returns the first part from i on that is not done.
func (p *Split) next(i int) (part int, ok bool) {
	for ; i < len(p.parts); i++ {
		if !p.done[i] {
			return i, true
		}
	}
	return 0, false
}

// Finish records that a part need not be sent again. It reports whether this is true of all parts.
func (p *Split) Finish(part int) (whole bool) {
	p.done[part] = true
	return !slices.Contains(p.done, false)
}

// follow splits the fragment again when other tracks of it are sent now. Parts in flight remain parts of p: their
// acknowledgements do not apply to the new parts.
func (p *Split) follow(reader io.ReaderAt, tracks *trackChoice, f mkv.Fragment) *Split {
	if p.audio == tracks.mode {
		return p
	}
	parts, err := mkv.Parts(reader, f, tracks.Selection, kvslimit.MinFragment)
	if err != nil {
		return p // the session fails with it
	}
	again := newSplit(tracks.mode, parts)
	again.Single = p.Single
	return again
}
