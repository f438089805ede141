// Package element owns what all Matroska elements have in common: their IDs and heads, and how the elements that describe a
// file are written and, where other programs wrote them, read without trusting their sizes, with ebml-go. It must not know
// which elements a segment has. Sources: RFC 8794 (EBML), RFC 9559 (Matroska).
package element

// IDs with their length markers (RFC 9559, section 5.1), of elements that ebml-go does not write.
const (
	IDEBML              = 0x1A45DFA3
	IDVoid              = 0xEC
	IDSegment           = 0x18538067
	IDSeekHead          = 0x114D9B74
	IDInfo              = 0x1549A966
	IDTimestampScale    = 0x2AD7B1
	IDDuration          = 0x4489
	IDDateUTC           = 0x4461
	IDTitle             = 0x7BA9
	IDTracks            = 0x1654AE6B
	IDTrackEntry        = 0xAE
	IDTrackNumber       = 0xD7
	IDTrackType         = 0x83
	IDName              = 0x536E
	IDCodecID           = 0x86
	IDCodecPrivate      = 0x63A2
	IDVideo             = 0xE0
	IDPixelWidth        = 0xB0
	IDPixelHeight       = 0xBA
	IDFlagInterlaced    = 0x9A
	IDDisplayWidth      = 0x54B0
	IDDisplayHeight     = 0x54BA
	IDColour            = 0x55B0
	IDMatrix            = 0x55B1
	IDRange             = 0x55B9
	IDTransfer          = 0x55BA
	IDPrimaries         = 0x55BB
	IDAudio             = 0xE1
	IDSamplingFrequency = 0xB5
	IDChannels          = 0x9F
	IDBitDepth          = 0x6264
	IDOutputFrequency   = 0x78B5
	IDCodecDelay        = 0x56AA
	IDSeekPreRoll       = 0x56BB
	IDCluster           = 0x1F43B675
	IDTimestamp         = 0xE7
	IDSimpleBlock       = 0xA3
	IDBlockGroup        = 0xA0
	IDBlock             = 0xA1
	IDCues              = 0x1C53BB6B
)
