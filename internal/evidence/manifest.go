// Package evidence owns the form of evidence: a zip archive with media, a manifest about it, and the signature of the hub's key over the
// manifest. It writes archives and verifies them, anywhere and without an agent. It must not know where recordings or keys come from.
//
// docs/evidence.md is the description of the form for others.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// Version is that of the form.
	Version = 1
	// Kind is what every manifest begins with.
	Kind = "kvs-edge-agent evidence"
	// Claim says what the signature is worth.
	Claim = "Stream, hub and times are what the hub says. The signature shows that its key signed this, not that it is true."
	// MediaFile is the file of the media, and MediaType what it is.
	MediaFile = "media.mkv"
	MediaType = "video/x-matroska"
	// MaxManifest is the longest manifest that is read, in bytes: a week of fragments of 2 s, or a month of 10 s.
	MaxManifest = 64 << 20
)

// Manifest says what the media is. Its bytes in an archive are those of Encode and no others.
type Manifest struct {
	Kind      string     `json:"kind"`
	Version   int        `json:"version"`
	Claim     string     `json:"claim"`
	Created   time.Time  `json:"created"` // by the hub's clock
	Agent     string     `json:"agent"`   // its version
	Hub       Hub        `json:"hub"`
	Stream    string     `json:"stream"`
	Asked     Asked      `json:"asked"`
	From      time.Time  `json:"from"` // of the media
	To        time.Time  `json:"to"`
	Clock     Clock      `json:"clock"`
	Media     Media      `json:"media"`
	Fragments []Fragment `json:"fragments"`
	Gaps      []Gap      `json:"gaps"`
	Lost      []Lost     `json:"lost"`
	// Receipts says that fragments have the numbers that the cloud gave them, where these are known.
	Receipts bool `json:"receipts,omitempty"`
}

// Hub is who says so.
type Hub struct {
	Thing string `json:"thing"`
	ARN   string `json:"arn,omitempty"`
}

// Asked is the time that was asked for. A missing time is unbounded.
type Asked struct {
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
	// MoreTo is up to where fragments were added, as a camera that signs its video has the signature of a GOP in the next one.
	MoreTo *time.Time `json:"moreTo,omitempty"`
}

// Clock is what is known of the hub's clock.
type Clock struct {
	Trusted bool   `json:"trusted"` // when the evidence was made
	Why     string `json:"why"`
	AheadMS int64  `json:"aheadMs,omitempty"` // of the time of AWS
	// Corrections are of the times of the media, whose clock was wrong at that time.
	Corrections []Correction `json:"corrections"`
}

// Correction is of recorded times in [From, To], as the files have them.
type Correction struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Unset bool      `json:"unset,omitempty"` // the clock was not set; otherwise it was ahead
	AddMS int64     `json:"addMs,omitempty"`
	Known bool      `json:"known"` // AddMS was added; otherwise nobody knows what to add
}

// Media is the file in the archive.
type Media struct {
	File  string `json:"file"`
	Type  string `json:"type"`
	Bytes int64  `json:"bytes"`
	Head  Part   `json:"head"` // before the fragments
	Tail  Part   `json:"tail"` // behind them; its sum covers that of the last fragment
}

// Part is a range of bytes.
type Part struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Fragment is one of the media, as it was recorded. Its sum covers that of the previous one, and so all before it.
type Fragment struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"` // of its last frame
	Bytes  int64     `json:"bytes"`
	SHA256 string    `json:"sha256"`
	// Damaged says that it differs from what was recorded, by its checksum on the disk.
	Damaged bool `json:"damaged,omitempty"`
	// Number is the one that the cloud gave it.
	Number string `json:"number,omitempty"`
}

// Gap is a time in which nothing was recorded, or with Deleted one whose media was deleted while the evidence was made.
type Gap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Deleted bool      `json:"deleted,omitempty"`
}

// Lost is a time whose media was recorded and cannot be read.
type Lost struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	File string    `json:"file"`
}

// Encode returns the bytes of a manifest. What is not UTF-8 in a name of a file, or another text, is replaced.
func (m Manifest) Encode() ([]byte, error) {
	text, err := canonical(m)
	if err == nil && bytes.Contains(text, []byte(`\ufffd`)) { // where it was replaced; a reader has it without the escape
		m = Manifest{}
		if err = json.Unmarshal(text, &m); err == nil {
			text, err = canonical(m)
		}
	}
	if err == nil && len(text) > MaxManifest {
		return nil, fmt.Errorf("its manifest would have %d bytes, at most %d are read", len(text), MaxManifest)
	}
	return text, err
}

// canonical is the one way in which a value is written.
func canonical(value any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(value)
	return out.Bytes(), err
}

var (
	errNewer = errors.New("it is of a later version of the form than this program knows: use a newer kvs-edge-agent")
	errForm  = errors.New("its text is not written as a manifest is: a member is unknown, twice, missing, or written in another way")
)

// parseManifest reads a manifest. Only the bytes that Encode makes of it are accepted, so that nobody reads another thing in them.
func parseManifest(text []byte) (m Manifest, err error) {
	var form struct {
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(text, &form); err != nil || form.Kind != Kind || form.Version < Version {
		return m, errForm
	}
	if form.Version > Version {
		return m, errNewer
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, errForm
	}
	again, err := canonical(m)
	if err != nil || !bytes.Equal(again, text) {
		return m, errForm
	}
	return m, m.check()
}

// check finds what no agent writes.
func (m Manifest) check() error {
	left, wrong := m.Media.Bytes, false
	take := func(n, least int64) {
		wrong = wrong || n < least || n > left
		left -= n
	}
	take(m.Media.Head.Bytes, 0)
	take(m.Media.Tail.Bytes, 0)
	for _, f := range m.Fragments {
		take(f.Bytes, 1)
	}
	if wrong || left != 0 || m.Media.File != nameMedia || len(m.Fragments) == 0 || m.Claim != Claim {
		return errors.New("its numbers contradict each other")
	}
	return nil
}

// Chain sums up the bytes of media in order: each link covers the previous one.
type Chain struct{ link [sha256.Size]byte }

// Next returns the link of a part: the SHA-256 of the previous link, 32 zero bytes at the start, and of the part's bytes.
func (c *Chain) Next(part io.Reader) (string, error) {
	h := sha256.New()
	_, _ = h.Write(c.link[:]) // it never fails
	if _, err := io.Copy(h, part); err != nil {
		return "", err
	}
	h.Sum(c.link[:0])
	return hex.EncodeToString(c.link[:]), nil
}
