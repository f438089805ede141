// Package reception measures the arrival of a source's packets, and makes the receiver reports that cameras need
// (RFC 3550, section 6.4.2 and appendix A): some stop without them. It does not know where packets come from.
package reception

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	// maxDropout is how far sequence numbers may run ahead and be a loss, and maxMisorder how far they may go back and be late;
	// beyond that the source restarted its numbers. Source: RFC 3550, appendix A.1.
	maxDropout, maxMisorder = 3000, 100
	// jitterScale is the scale of the mean jitter, in parts of a tick, and the weight of earlier values (appendix A.8).
	jitterScale = 16
	// maxLost and minLost bound the reported number of lost packets: 24 bits with a sign (section 6.4.1).
	maxLost, minLost = 1<<23 - 1, -1 << 23
)

// Source is the state of a track's packets. Its zero value is ready for use. One goroutine at a time uses it.
type Source struct {
	Clock int // ticks of the RTP timestamp per second

	started bool
	ssrc    uint32
	since   time.Time // when the first packet arrived

	first    uint16 // sequence numbers
	newest   uint16
	restart  uint16 // the successor of a number that was far off
	suspect  bool   // restart is valid
	cycles   uint32 // of sequence numbers, in steps of 1<<16
	received uint32 // packets

	expectedBefore, receivedBefore uint32 // at the last report

	transit int64 // of the last packet, in ticks
	jitter  int64 // in parts of a tick

	reported   uint32    // the middle 32 bits of the NTP time of the last sender report
	reportedAt time.Time // zero: none arrived
}

// Add adds a packet.
func (s *Source) Add(ssrc uint32, sequence uint16, timestamp uint32, now time.Time) {
	if !s.started || ssrc != s.ssrc {
		*s = Source{Clock: s.Clock, started: true, ssrc: ssrc, since: now}
		s.begin(sequence)
	}
	if !s.order(sequence) {
		return
	}
	s.received++
	s.addTransit(timestamp, now)
}

// Pass adds a packet of the source that is not one of the track's, such as one with another payload type: it has a number, and a
// clock of its own.
func (s *Source) Pass(ssrc uint32, sequence uint16) {
	if s.started && ssrc == s.ssrc && s.order(sequence) {
		s.received++
	}
}

// begin starts counting at a sequence number.
func (s *Source) begin(sequence uint16) {
	s.first, s.newest, s.cycles, s.suspect = sequence, sequence, 0, false
	s.received, s.expectedBefore, s.receivedBefore = 0, 0, 0
}

// order handles a sequence number, and reports whether it counts.
func (s *Source) order(sequence uint16) bool {
	switch ahead := sequence - s.newest; {
	case ahead < maxDropout:
		if sequence < s.newest {
			s.cycles += 1 << 16
		}
		s.newest, s.suspect = sequence, false
	case ahead <= 1<<16-1-maxMisorder:
		if !s.suspect || sequence != s.restart {
			s.restart, s.suspect = sequence+1, true
			return false
		}
		s.begin(sequence)
	}
	return true
}

// addTransit updates the jitter with a packet's transit time, compared with the previous one's.
func (s *Source) addTransit(timestamp uint32, now time.Time) {
	arrival := now.Sub(s.since).Nanoseconds() / 1000 * int64(s.Clock) / 1e6
	transit := int64(int32(uint32(arrival) - timestamp))
	if s.received > 1 {
		off := int64(int32(uint32(transit) - uint32(s.transit)))
		s.jitter += max(off, -off) - (s.jitter+jitterScale/2)/jitterScale
	}
	s.transit = transit
}

// Started reports whether a packet has arrived.
func (s *Source) Started() bool { return s.started }

// SenderReport notes a sender report of the source: the camera's time in NTP format.
func (s *Source) SenderReport(ssrc uint32, ntp uint64, now time.Time) {
	if s.started && ssrc == s.ssrc {
		const middle = 16
		s.reported, s.reportedAt = uint32(ntp>>middle), now
	}
}

// Report makes a receiver report, under the SSRC ours, about the time since the last one. ok is whether there is anything to report.
func (s *Source) Report(ours uint32, name string, now time.Time) (report rtcp.CompoundPacket, ok bool) {
	if !s.started {
		return nil, false
	}
	block := rtcp.ReceptionReport{
		SSRC: s.ssrc, FractionLost: s.fraction(), TotalLost: uint32(s.lost()) & (1<<24 - 1), LastSequenceNumber: s.cycles | uint32(s.newest),
		Jitter: uint32(s.jitter / jitterScale),
	}
	if !s.reportedAt.IsZero() {
		const perSecond = 1 << 16
		block.LastSenderReport = s.reported
		block.Delay = uint32(uint64(now.Sub(s.reportedAt).Seconds() * perSecond))
	}
	return rtcp.CompoundPacket{
		&rtcp.ReceiverReport{SSRC: ours, Reports: []rtcp.ReceptionReport{block}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{
			{Source: ours, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: name}}},
		}},
	}, true
}

// expected is how many packets were sent, judging by their numbers.
func (s *Source) expected() uint32 { return s.cycles + uint32(s.newest) - uint32(s.first) + 1 }

// lost is how many did not arrive; duplicates reduce it.
func (s *Source) lost() int64 {
	return min(max(int64(s.expected())-int64(s.received), minLost), maxLost)
}

// fraction is the fraction of lost packets since the last report, in parts of 256.
func (s *Source) fraction() uint8 {
	expected, received := s.expected()-s.expectedBefore, s.received-s.receivedBefore
	s.expectedBefore, s.receivedBefore = s.expected(), s.received
	if lost := int64(expected) - int64(received); expected > 0 && lost > 0 {
		return uint8(min(lost*256/int64(expected), 255))
	}
	return 0
}
