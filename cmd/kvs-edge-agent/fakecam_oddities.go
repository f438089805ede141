package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

const (
	// oddityPause is how long a camera stalls or is off.
	oddityPause = 5 * time.Second
	// leastOddity is the shortest time between two events.
	leastOddity = 100 * time.Millisecond
)

// oddity is something that a camera does wrong.
type oddity struct {
	name  string
	about string
	needs string // flag without which it would show nothing
	// One of these. set is for what holds all the time, every for what takes a duration, and do for what
	// happens each time that one is over.
	set   func(*fakecam.Options)
	every func(*fakecam.Options, time.Duration)
	do    func(*fakecam.Camera)
	undo  func(*fakecam.Camera) // oddityPause after do; nil for none
}

// timedOddity is an oddity that recurs.
type timedOddity struct {
	oddity
	every time.Duration
}

// takesDuration says whether the oddity is written as NAME=DURATION.
func (o oddity) takesDuration() bool { return o.set == nil }

// fakecamOddities are all that --oddity knows.
var fakecamOddities = []oddity{
	{name: "no-sdp-params", about: "parameter sets are in the stream only, not in the session description",
		set: func(o *fakecam.Options) { o.NoSDPParams = true }},
	{name: "no-inband-params", about: "parameter sets are in the session description only, not in the stream",
		set: func(o *fakecam.Options) { o.NoInbandParams = true }},
	{name: "no-udp", about: "RTP over UDP is refused", set: func(o *fakecam.Options) { o.NoUDP = true }},
	{name: "no-tcp", about: "RTP over TCP is refused",
		set: func(o *fakecam.Options) { o.Refuse = func(udp bool) bool { return !udp } }},
	{name: "near-wrap", about: "RTP timestamps pass 2^32 one second after the start of a session",
		set: func(o *fakecam.Options) { o.NearWrap = true }},
	{name: "basic-only", about: "no digest authentication is offered", needs: "--user",
		set: func(o *fakecam.Options) { o.BasicOnly = true }},
	{name: "nonce-once", about: "a digest nonce is good for one request", needs: "--user",
		set: func(o *fakecam.Options) { o.NonceUses = 1 }},
	{name: "no-keepalive", about: "GET_PARAMETER is answered with an error", set: func(o *fakecam.Options) { o.NoKeepalive = true }},
	{name: "no-pause", about: "PAUSE is answered with an error, and frames continue", set: func(o *fakecam.Options) { o.NoPause = true }},
	{name: "more-tracks", about: "metadata, a second video and a back channel are announced beside the video",
		set: func(o *fakecam.Options) { o.MoreTracks = true }},
	{name: "no-video", about: "only the audio is announced", needs: "--audio", set: func(o *fakecam.Options) { o.NoVideo = true }},
	{name: "fast-timestamps", about: "RTP timestamps run 1.42 times as fast as time passes", set: func(o *fakecam.Options) { o.Pace = 1.42 }},
	{name: "slow-timestamps", about: "RTP timestamps run at a hundredth of the pace of time", set: func(o *fakecam.Options) { o.Pace = 0.01 }},
	{name: "stray-timestamps", about: "every 50th frame is stamped five hours back", set: func(o *fakecam.Options) { o.StrayEvery = 50 }},
	{name: "backlog", about: "each session begins with so much video at once, which the camera has kept",
		every: func(o *fakecam.Options, d time.Duration) { o.Backlog = d }},
	{name: "clock-ahead", about: "the clock in the sender reports is ahead by the duration",
		every: func(o *fakecam.Options, d time.Duration) { o.Clock = func() time.Time { return time.Now().Add(d) } }},
	{name: "session-ends", about: "each session ends after the duration",
		every: func(o *fakecam.Options, d time.Duration) { o.Lifetime = d }},
	{name: "lose-packet", about: "an RTP packet of the video is lost each time the duration is over",
		every: func(o *fakecam.Options, d time.Duration) { addWire(o, d, losePacket) }},
	{name: "repeat-packet", about: "an RTP packet of the video is sent twice each time the duration is over",
		every: func(o *fakecam.Options, d time.Duration) { addWire(o, d, repeatPacket) }},
	{name: "drop", about: "all sessions are ended each time the duration is over", do: (*fakecam.Camera).Drop},
	{name: "unplug", about: "the camera is off for 5 s each time the duration is over", do: (*fakecam.Camera).Unplug,
		undo: func(c *fakecam.Camera) { _ = c.Plug() }}, // it fails for a camera that is closed only, or with its port gone
	{name: "stall", about: "no frames are sent for 5 s each time the duration is over", do: (*fakecam.Camera).Stall,
		undo: (*fakecam.Camera).Resume},
	{name: "jump", about: "RTP timestamps jump ahead by an hour each time the duration is over",
		do: func(c *fakecam.Camera) { c.Jump(time.Hour) }},
	{name: "jump-back", about: "RTP timestamps jump back by 10 s each time the duration is over",
		do: func(c *fakecam.Camera) { c.Jump(-10 * time.Second) }},
	{name: "change-params", about: "size and parameter sets change each time the duration is over; of H.264 without --file",
		do: (*fakecam.Camera).ChangeParams},
	{name: "mute", about: "there is no audio for 5 s each time the duration is over", needs: "--audio",
		do: func(c *fakecam.Camera) { c.Mute(true) }, undo: func(c *fakecam.Camera) { c.Mute(false) }},
}

func losePacket(fakecam.Packet) []fakecam.Packet     { return nil }
func repeatPacket(p fakecam.Packet) []fakecam.Packet { return []fakecam.Packet{p, p} }

// addWire puts something in the place of one packet each time that a duration is over.
func addWire(o *fakecam.Options, every time.Duration, odd func(fakecam.Packet) []fakecam.Packet) {
	before, last := o.Wire, time.Now()
	one := make([]fakecam.Packet, 1)
	o.Wire = func(p fakecam.Packet) []fakecam.Packet {
		one[0] = p
		packets := one
		if now := time.Now(); now.Sub(last) >= every {
			packets, last = odd(p), now
		}
		if before == nil {
			return packets
		}
		var out []fakecam.Packet
		for _, p := range packets {
			out = append(out, before(p)...)
		}
		return out
	}
}

// applyOddities sets what --oddity names, and returns what is to be done from time to time.
func (o *fakecamOptions) applyOddities(options *fakecam.Options) ([]timedOddity, error) {
	var timed []timedOddity
	given := map[string]bool{"": true, "--user": o.user != "", "--audio": o.audio != ""}
	for _, text := range o.oddities {
		odd, every, err := parseOddity(text)
		if err != nil {
			return nil, err
		}
		switch {
		case !given[odd.needs]:
			return nil, fmt.Errorf("the oddity %s needs %s", odd.name, odd.needs)
		case odd.name == "change-params" && (o.codec != "h264" || o.file != ""):
			return nil, errors.New("the oddity change-params needs a camera of H.264 without --file")
		case odd.set != nil:
			odd.set(options)
		case odd.every != nil:
			odd.every(options, every)
		default:
			if odd.undo != nil && every <= oddityPause {
				return nil, fmt.Errorf("the duration of %s is %s, but must be longer than the %s that it lasts", odd.name, every, oddityPause)
			}
			timed = append(timed, timedOddity{odd, every})
		}
	}
	return timed, nil
}

// parseOddity reads NAME or NAME=DURATION.
func parseOddity(text string) (oddity, time.Duration, error) {
	name, value, with := strings.Cut(text, "=")
	for _, odd := range fakecamOddities {
		if odd.name != name {
			continue
		}
		if !odd.takesDuration() {
			if with {
				return odd, 0, fmt.Errorf("the oddity %s takes no duration", name)
			}
			return odd, 0, nil
		}
		every, err := time.ParseDuration(value)
		if err != nil || every < leastOddity {
			return odd, 0, fmt.Errorf("the oddity %s takes a duration of at least %s, such as %s=30s", name, leastOddity, name)
		}
		return odd, every, nil
	}
	return oddity{}, 0, fmt.Errorf("there is no oddity %q: --list-oddities lists them", name)
}

// listOddities prints the table.
func listOddities(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, odd := range fakecamOddities {
		name, about := odd.name, odd.about
		if odd.takesDuration() {
			name += "=DURATION"
		}
		if odd.needs != "" {
			about += "; needs " + odd.needs
		}
		fmt.Fprintf(table, "%s\t%s\n", name, about)
	}
	return table.Flush()
}
