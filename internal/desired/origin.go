package desired

import "slices"

// Origin is the kind of source that wants a stream.
type Origin string

// The origins.
const (
	File     Origin = "file"     // a stream file on the hub
	SiteWise Origin = "sitewise" // an asset of AWS IoT SiteWise
	KVS      Origin = "kvs"      // listed by the control plane of Kinesis Video Streams
	MQTT     Origin = "mqtt"     // sent over MQTT
)

// origins are all that is known of them here. A source that is added has a row, and nothing else in this package.
var origins = []struct {
	origin Origin
	rank   int    // of its source: the lowest takes precedence. Those of one source have the same, and the newest version counts
	words  string // for the start of a sentence
}{
	{File, 0, "A stream file"},
	{SiteWise, 1, "AWS IoT SiteWise"},
	{KVS, 2, "The KVS control plane"},
	{MQTT, 2, "A message over MQTT"},
}

// Origins lists all origins, those that take precedence first.
func Origins() []Origin {
	list := make([]Origin, 0, len(origins))
	for _, row := range origins {
		list = append(list, row.origin)
	}
	return list
}

// row is the index of an origin in origins; -1 for one that is not there.
func (o Origin) row() int {
	for i, row := range origins {
		if row.origin == o {
			return i
		}
	}
	return -1
}

// rank orders origins by precedence, the lowest first. One that is not known comes last.
func (o Origin) rank() int {
	if i := o.row(); i >= 0 {
		return origins[i].rank
	}
	return len(origins)
}

// Words returns the origin as a person calls it, for the start of a sentence.
func (o Origin) Words() string {
	if i := o.row(); i >= 0 {
		return origins[i].words
	}
	return "The source " + string(o)
}

// After reports whether an origin's source has less precedence than that of another.
func (o Origin) After(other Origin) bool { return o.rank() > other.rank() }

// OfOneSource reports whether origins are known, and are those of one source.
func OfOneSource(list []Origin) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(o Origin) bool { return o.row() < 0 || o.rank() != list[0].rank() })
}
