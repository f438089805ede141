package mp4

import "encoding/binary"

// Sample is a frame of a track.
type Sample struct {
	Time     uint64 // of decoding, in ticks of its track
	Offset   int32  // of the presentation from that
	Duration uint32 // until the next sample's time; of the last one as long as it is shown
	Size     uint32 // bytes
	Sync     bool   // a decoder can start here
}

// Chunk is a run of samples of one track that lie one after the other.
type Chunk struct {
	Track   *Track
	Samples []Sample
}

func (c Chunk) bytes() (n uint32) {
	for _, s := range c.Samples {
		n += s.Size
	}
	return n
}

// The flags of samples: whether others depend on them, and whether a decoder can start there.
const (
	sampleSync  = 0x0200_0000
	sampleOther = 0x0101_0000
	sampleNot   = 0x0001_0000 // the bit of those at which none can
)

// The flags of a run of samples, and of the boxes around it.
const (
	runOffset     = 0x1
	runFirstFlags = 0x4
	runDurations  = 0x100
	runSizes      = 0x200
	runFlags      = 0x400
	runTimes      = 0x800
	baseIsMoof    = 0x2_0000
)

// AppendFragment appends a fragment up to its media, which follows in the order of the chunks. Fragments are numbered from 1. The samples
// of a track have rising times, each at the end of the previous one.
func AppendFragment(dst []byte, number uint32, chunks []Chunk) []byte {
	start := len(dst)
	var media uint32
	ofTrack := make(map[uint32][]int)
	offsets := make([]uint32, len(chunks)) // in the media
	var order []uint32
	for i, c := range chunks {
		if ofTrack[c.Track.ID] == nil {
			order = append(order, c.Track.ID)
		}
		ofTrack[c.Track.ID] = append(ofTrack[c.Track.ID], i)
		offsets[i] = media
		media += c.bytes()
	}
	dst = append(dst, box("moof", full("mfhd", 0, 0, u32(number)))...)
	places := make([]int, len(chunks)) // of their offsets
	for _, id := range order {
		first := chunks[ofTrack[id][0]]
		at := len(dst)
		dst = append(dst, box("traf", full("tfhd", 0, baseIsMoof, u32(id)), full("tfdt", 1, 0, u64(first.Samples[0].Time)))...)
		for _, i := range ofTrack[id] {
			places[i] = len(dst) + tableHead
			dst = appendRun(dst, chunks[i])
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	}
	size := uint32(len(dst) - start)
	binary.BigEndian.PutUint32(dst[start:], size)
	for i, at := range places {
		binary.BigEndian.PutUint32(dst[at:], size+boxHead+offsets[i])
	}
	dst = binary.BigEndian.AppendUint32(dst, boxHead+media)
	return append(dst, "mdat"...)
}

// appendRun appends a run of samples, whose offset is not known yet.
func appendRun(dst []byte, c Chunk) []byte {
	flags := uint32(runOffset | runDurations | runSizes)
	if c.Track.Video() {
		flags |= runFlags | runTimes
	}
	at := len(dst)
	dst = append(dst, full("trun", 1, flags, u32(uint32(len(c.Samples)), 0))...)
	for _, s := range c.Samples {
		dst = binary.BigEndian.AppendUint32(dst, s.Duration)
		dst = binary.BigEndian.AppendUint32(dst, s.Size)
		if !c.Track.Video() {
			continue
		}
		kind := uint32(sampleOther)
		if s.Sync {
			kind = sampleSync
		}
		dst = binary.BigEndian.AppendUint32(dst, kind)
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Offset))
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}
