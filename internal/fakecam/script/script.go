// Package script reads files that describe how a camera behaves: its answers and its packets, with all faults
// of both. docs/like.md has the format. The package turns requests and pictures into bytes; it uses no sockets.
package script

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 1 << 20

// File is a camera as a file describes it.
type File struct {
	About    string        // what is odd, for people
	Expect   []string      // the lines of its section expect, for tests
	Recorded string        // how much must be recorded, for tests: all, or a share such as 90%; empty if not given
	Refused  string        // a part of the sentence with which it must be refused, for tests
	Film     string        // h264, h264-720, h265 or mjpeg; empty for the camera's own
	Sound    string        // aac, pcmu or pcma; empty for the camera's own
	FPS      float64       // pictures per second; 0 for the camera's own
	Source   string        // the source of UDP packets: empty, an IP address, or AnotherPort
	Needs    string        // the request, or Reports, without which a session ends; empty for none
	Within   time.Duration // how long that request may be missing
	Audio    Audio

	user, password string
	ends           string // of lines
	answers        []*section
	video, audio   []line
}

const (
	// AnotherPort is the Source of packets from another port than the one that was announced.
	AnotherPort = "another-port"
	// Reports is the Needs of a camera that requires RTCP receiver reports.
	Reports = "reports"
)

// Audio is the audio of a camera, where its file defines it.
type Audio struct {
	Payloads [][]byte      // of RTP packets, sent in turn; nil for the camera's own audio
	Every    time.Duration // how often there is a packet
	Ticks    uint32        // of the RTP clock between two packets
}

// Error is the error of a line that cannot be read.
type Error struct {
	File string
	Line int // from 1
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// Load reads a file.
func Load(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the camera's file: %w", err)
	}
	defer func() { _ = file.Close() }()
	content := make([]byte, MaxSize+1)
	n, err := readAll(file, content)
	if err != nil {
		return nil, fmt.Errorf("cannot read the camera's file: %w", err)
	}
	return Parse(filepath.Base(path), content[:n])
}

// Parse reads the content of a file. The name is for errors, which are of type *Error.
func Parse(name string, content []byte) (*File, error) {
	if len(content) > MaxSize {
		return nil, &Error{name, 1, fmt.Sprintf("the file has more than %d bytes", MaxSize)}
	}
	p := &parser{file: &File{ends: "\r\n"}}
	number := 0
	for text := range bytes.SplitSeq(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")) {
		number++
		if err := p.line(string(text)); err != nil {
			return nil, &Error{name, number, err.Error()}
		}
	}
	p.file.About = strings.Join(strings.Fields(p.file.About), " ")
	if err := p.whole(); err != nil {
		return nil, &Error{name, number, err.Error()}
	}
	return p.file, nil
}

// Login returns the user name and the password that the camera asks for; empty for none.
func (f *File) Login() (user, password string) { return f.user, f.password }

// parser reads a file line by line.
type parser struct {
	file    *File
	section string   // its first word; empty before all sections
	says    bool     // something was set, or a section started
	answer  *section // the one that is being read
}

// line reads one line.
func (p *parser) line(text string) error {
	if head, begins := strings.CutPrefix(text, ">>> "); begins {
		return p.begin(head)
	}
	switch p.section {
	case "":
		return p.header(text)
	case "expect":
		p.file.Expect = append(p.file.Expect, text)
		return nil
	case "packets", "audio":
		return p.rule(text)
	}
	return p.answer.add(text)
}

// begin starts a section.
func (p *parser) begin(head string) error {
	words, err := split(head)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return fmt.Errorf("a section needs a name: the method that it answers, * for all, packets, audio or expect")
	}
	p.section, p.says = words[0], true
	switch p.section {
	case "packets", "audio", "expect":
		if len(words) > 1 {
			return fmt.Errorf("the section %s does not accept %q", p.section, words[1])
		}
		return nil
	}
	p.answer, err = newSection(words)
	p.file.answers = append(p.file.answers, p.answer)
	return err
}

// rule reads a line of the sections packets and audio.
func (p *parser) rule(text string) error {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return nil
	}
	l, err := parseRule(text, p.section == "audio")
	if err != nil {
		return err
	}
	if l.setup != nil {
		l.setup(&p.file.Audio)
		return nil
	}
	if p.section == "audio" {
		p.file.audio = append(p.file.audio, l)
	} else {
		p.file.video = append(p.file.video, l)
	}
	return nil
}

// whole checks what only the complete file shows.
func (p *parser) whole() error {
	f := p.file
	switch a := f.Audio; {
	case !p.says:
		return fmt.Errorf("the file describes no behaviour of a camera: is it a file for --like?")
	case f.About == "":
		return fmt.Errorf("the file does not say what is odd about the camera: its first lines must")
	case a.Payloads != nil && (a.Every == 0 || a.Ticks == 0):
		return fmt.Errorf("audio with payloads needs the lines interval and ticks")
	case a.Payloads == nil && (a.Every != 0 || a.Ticks != 0):
		return fmt.Errorf("audio with interval or ticks needs payloads")
	case a.Payloads != nil && f.Sound != "":
		return fmt.Errorf("audio comes from sound or from payloads, not from both")
	}
	for _, s := range f.answers {
		if s.silent && len(s.lines) > 0 {
			return fmt.Errorf("the section %s is silent and has an answer", s.method)
		}
		if (s.login || s.noLogin) && f.user == "" {
			return fmt.Errorf("the section %s asks for a login, but the line login is missing", s.method)
		}
	}
	return nil
}
