// Package hls owns the text of HLS playlists, as Kinesis Video Streams writes them: RFC 8216. It must not know where fragments
// come from, nor what is in them.
package hls

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The names of a session's resources, in its URLs.
const (
	MasterPlaylist = "getHLSMasterPlaylist.m3u8"
	MediaPlaylist  = "getHLSMediaPlaylist.m3u8"
	InitFragment   = "getMP4InitFragment.mp4"
	MediaFragment  = "getMP4MediaFragment.mp4"
	TSFragment     = "getTSFragment.ts"
)

// ContentType of playlists.
const ContentType = "application/x-mpegURL"

// Master is a master playlist: one variant.
type Master struct {
	Token         string
	Codecs        []string // of all tracks
	Width, Height int      // of video; 0 = there is none
	FrameRate     float64  // of video, frames a second; 0 = not known
	Bandwidth     int64    // bits a second
	Track         uint64   // of the media playlist; 0 = it has all tracks
	Audio         uint64   // the track of audio that has a media playlist of its own; 0 = none
}

// String is the text of the playlist.
func (m Master) String() string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:1\n")
	if m.Audio != 0 {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:AUTOSELECT=YES,FORCED=NO,TYPE=AUDIO,URI=\"%s\",GROUP-ID=\"audio\",DEFAULT=YES,NAME=\"audio\"\n",
			m.media(m.Audio))
	}
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:CODECS=\"%s\"", strings.Join(m.Codecs, ","))
	if m.Width > 0 {
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", m.Width, m.Height)
	}
	if m.FrameRate > 0 {
		fmt.Fprintf(&b, ",FRAME-RATE=%s", strconv.FormatFloat(math.Round(m.FrameRate*100)/100, 'f', -1, 64))
	}
	fmt.Fprintf(&b, ",BANDWIDTH=%d", m.Bandwidth)
	if m.Audio != 0 {
		b.WriteString(",AUDIO=\"audio\"")
	}
	fmt.Fprintf(&b, "\n%s\n", m.media(m.Track))
	return b.String()
}

func (m Master) media(track uint64) string {
	if track == 0 {
		return MediaPlaylist + "?SessionToken=" + m.Token
	}
	return fmt.Sprintf("%s?SessionToken=%s&TrackNumber=%d", MediaPlaylist, m.Token, track)
}

// Entry is a fragment in a media playlist.
type Entry struct {
	Number        string
	Length        time.Duration
	Discontinuity bool      // in front of it
	Init          int       // of fragmented MP4: SequenceNumber of the initialization fragment that it needs
	At            time.Time // when it begins; zero = that is not shown
}

// Media is a media playlist.
type Media struct {
	Token           string
	Track           uint64 // 0 = all tracks, in transport streams
	Sequence        int    // how many fragments were in front of the first one, earlier
	Discontinuities int    // and how many discontinuities
	Entries         []Entry
	VOD             bool // nothing is added to it
	Ended           bool // no further fragment comes
}

// String is the text of the playlist.
func (m Media) String() string {
	var b strings.Builder
	version := 7
	if m.Track == 0 {
		version = 3
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n", version)
	if m.VOD {
		b.WriteString("#EXT-X-PLAYLIST-TYPE:VOD\n")
	}
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", m.target(), m.Sequence)
	if m.Discontinuities > 0 {
		fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", m.Discontinuities)
	}
	b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	for i, e := range m.Entries {
		if e.Discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if m.Track != 0 && (i == 0 || e.Init != m.Entries[i-1].Init) {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s?SessionToken=%s&TrackNumber=%d&SequenceNumber=%d\"\n", InitFragment, m.Token, m.Track, e.Init)
		}
		if !e.At.IsZero() {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", e.At.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		fmt.Fprintf(&b, "#EXTINF:%s,\n", strconv.FormatFloat(float64(e.Length.Milliseconds())/1000, 'f', -1, 64))
		if m.Track == 0 {
			fmt.Fprintf(&b, "%s?FragmentNumber=%s&SessionToken=%s\n", TSFragment, e.Number, m.Token)
			continue
		}
		fmt.Fprintf(&b, "%s?FragmentNumber=%s&SessionToken=%s&TrackNumber=%d\n", MediaFragment, e.Number, m.Token, m.Track)
	}
	if m.Ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return b.String()
}

// target is the longest fragment, in seconds, rounded up.
func (m Media) target() int {
	longest := time.Second
	for _, e := range m.Entries {
		longest = max(longest, e.Length)
	}
	return int((longest + time.Second - 1) / time.Second)
}
