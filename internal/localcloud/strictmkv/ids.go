package strictmkv

import "fmt"

// id is an EBML element identifier with its marker bits, as written (RFC 9559, section 5).
type id uint32

const (
	idEBML            id = 0x1A45DFA3
	idEBMLVersion     id = 0x4286
	idEBMLReadVersion id = 0x42F7
	idEBMLMaxIDLength id = 0x42F2
	idEBMLMaxSize     id = 0x42F3
	idDocType         id = 0x4282
	idDocTypeVersion  id = 0x4287
	idDocTypeReadVer  id = 0x4285

	idVoid  id = 0xEC
	idCRC32 id = 0xBF

	idSegment     id = 0x18538067
	idSeekHead    id = 0x114D9B74
	idInfo        id = 0x1549A966
	idTracks      id = 0x1654AE6B
	idCluster     id = 0x1F43B675
	idCues        id = 0x1C53BB6B
	idAttachments id = 0x1941A469
	idChapters    id = 0x1043A770
	idTags        id = 0x1254C367

	idTimestampScale id = 0x2AD7B1
	idDuration       id = 0x4489
	idDateUTC        id = 0x4461
	idTitle          id = 0x7BA9
	idMuxingApp      id = 0x4D80
	idWritingApp     id = 0x5741

	idTrackEntry          id = 0xAE
	idTrackNumber         id = 0xD7
	idTrackUID            id = 0x73C5
	idTrackType           id = 0x83
	idTrackName           id = 0x536E
	idTrackTimestampScale id = 0x23314F
	idCodecID             id = 0x86
	idCodecPrivate        id = 0x63A2
	idContentEncodings    id = 0x6D80
	idVideo               id = 0xE0
	idPixelWidth          id = 0xB0
	idPixelHeight         id = 0xBA
	idAudio               id = 0xE1
	idSamplingFrequency   id = 0xB5
	idChannels            id = 0x9F
	idBitDepth            id = 0x6264

	idTag       id = 0x7373
	idTargets   id = 0x63C0
	idSimpleTag id = 0x67C8
	idTagName   id = 0x45A3
	idTagString id = 0x4487

	idTimestamp      id = 0xE7
	idPosition       id = 0xA7
	idPrevSize       id = 0xAB
	idSilentTracks   id = 0x5854
	idSimpleBlock    id = 0xA3
	idBlockGroup     id = 0xA0
	idBlock          id = 0xA1
	idReferenceBlock id = 0xFB
)

var names = map[id]string{
	idEBML: "EBML", idEBMLVersion: "EBMLVersion", idEBMLReadVersion: "EBMLReadVersion", idEBMLMaxIDLength: "EBMLMaxIDLength",
	idEBMLMaxSize: "EBMLMaxSizeLength", idDocType: "DocType", idDocTypeVersion: "DocTypeVersion", idDocTypeReadVer: "DocTypeReadVersion",
	idVoid: "Void", idCRC32: "CRC-32", idSegment: "Segment", idSeekHead: "SeekHead", idInfo: "Info", idTracks: "Tracks",
	idCluster: "Cluster", idCues: "Cues", idAttachments: "Attachments", idChapters: "Chapters", idTags: "Tags",
	idTimestampScale: "TimestampScale", idDuration: "Duration", idDateUTC: "DateUTC", idTitle: "Title", idMuxingApp: "MuxingApp",
	idWritingApp: "WritingApp", idTrackEntry: "TrackEntry", idTrackNumber: "TrackNumber", idTrackUID: "TrackUID",
	idTrackType: "TrackType", idTrackName: "Name", idTrackTimestampScale: "TrackTimestampScale", idCodecID: "CodecID",
	idCodecPrivate: "CodecPrivate", idContentEncodings: "ContentEncodings", idVideo: "Video", idPixelWidth: "PixelWidth",
	idPixelHeight: "PixelHeight", idAudio: "Audio", idSamplingFrequency: "SamplingFrequency", idChannels: "Channels",
	idBitDepth: "BitDepth", idTag: "Tag", idTargets: "Targets", idSimpleTag: "SimpleTag", idTagName: "TagName", idTagString: "TagString",
	idTimestamp: "Timestamp", idPosition: "Position", idPrevSize: "PrevSize", idSilentTracks: "SilentTracks",
	idSimpleBlock: "SimpleBlock", idBlockGroup: "BlockGroup", idBlock: "Block", idReferenceBlock: "ReferenceBlock",
}

func (i id) String() string {
	if name, ok := names[i]; ok {
		return name
	}
	return fmt.Sprintf("element 0x%X", uint32(i))
}

// segmentChild reports whether the element stands directly in a Segment, and thus ends a Cluster of
// unknown size.
func (i id) segmentChild() bool {
	switch i {
	case idSeekHead, idInfo, idTracks, idCluster, idCues, idAttachments, idChapters, idTags:
		return true
	}
	return false
}
