// Package fragment owns how long the fragments of a stream are: the setting, what it means for a stream, and at which keyframes
// fragments end. It must not know where frames come from, how they are written, nor when they are uploaded.
package fragment

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// The limits of a fragment. They stay below those of KVS: a fragment ends at the next frame, and gets a header, tags and audio in
// addition to the frames that are counted.
const (
	Min      = kvslimit.MinFragment
	Max      = kvslimit.MaxFragment - time.Second
	MaxBytes = kvslimit.FragmentBytes / 10 * 9
)

// Least is the shortest fragment within a session of a camera, from its start to the next one's: see GOPs.MayEnd. KVS takes it: it
// measures from the first frame to the last (ListFragments), by which a GOP of 1 s lasts 0.9 s at 10 frames a second, and AWS
// recommends GOPs of 0.5 s for the least latency ("How to reduce latency with Amazon Kinesis Video Streams", part 2).
const Least = Min - jitter

const (
	// scheduled is how long fragments become where nobody waits for them: AWS counts fragments, and its players and the API text
	// of PutMedia want no more than 10 s.
	scheduled = 9900 * time.Millisecond
	// jitter is by how much distances between keyframes differ: fragments of five GOPs of 1 s have 5 s, although one GOP
	// lasts a frame longer.
	jitter = 100 * time.Millisecond
	// nearlyMin is how long the longest GOPs of a camera last that is set to Min, while its times are slewed by 2 %, rounded to ms.
	nearlyMin = Min / 100 * 97
)

// Shortest is the target with which a fragment ends at the first keyframe that it may end at.
const Shortest time.Duration = 0

// Length is how long the fragments of a stream are, as it is set. The zero value is "auto": as the stream's upload needs them.
// It is comparable.
type Length struct {
	fixed time.Duration // 0: auto
}

// auto is the text of the zero value.
const auto = "auto"

// Rule says which texts are a Length, for errors: "NAME is VALUE, but " + Rule.
const Rule = "must be auto, or a duration from 1s to 19s, such as 5s"

// Parse reads a Length: "auto" or a duration from Min to Max; an empty text is auto. Its error is Rule.
func Parse(text string) (Length, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || text == auto {
		return Length{}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < Min || d > Max {
		return Length{}, fmt.Errorf("%s", Rule)
	}
	return Fixed(d), nil
}

// Fixed returns the Length of a duration from Min to Max.
func Fixed(d time.Duration) Length { return Length{fixed: d} }

// String returns the text that Parse reads.
func (l Length) String() string {
	if l.fixed == 0 {
		return auto
	}
	return l.fixed.String()
}

// Upload is when a stream is uploaded, as far as the length of its fragments depends on it.
type Upload uint8

// The kinds of upload.
const (
	Later Upload = iota // in windows, hourly, on request, or never
	Live                // each fragment as soon as it is complete
)

// Words says how long fragments are, for people.
func (l Length) Words(u Upload) string {
	if target := l.Target(u); target == Shortest {
		return "up to the first keyframe after " + humanize.Length(Min)
	}
	most := scheduled
	if l.fixed > 0 {
		most = l.fixed
	}
	return "as many GOPs as fit into " + humanize.Length(most)
}

// Target returns how long fragments may become, as far as GOPs allow it: see GOPs.End.
func (l Length) Target(u Upload) time.Duration {
	switch {
	case l.fixed > 0:
		return l.fixed + jitter
	case u == Live:
		return Shortest
	default:
		return scheduled
	}
}
