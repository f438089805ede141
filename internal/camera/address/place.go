package address

import (
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Place is where the URL of a camera or of a media file is written, as sentences name it. The sentences of sources name the
// secret of an edge configuration, which is the zero value, and Place names another one instead.
type Place struct{ words *strings.Replacer }

// InFile is the MediaURI of a stream file; its path may be empty where it is not known.
func InFile(path string) Place {
	if path == "" {
		return placeOf("the MediaURI in its stream file")
	}
	return placeOf("the MediaURI in the stream file " + path)
}

// Argument is the argument of a command.
func Argument() Place { return placeOf("the camera's URL") }

// placeOf returns a place with all the phrases by which sentences name that of the secret.
func placeOf(words string) Place {
	capital := strings.ToUpper(words[:1]) + words[1:]
	return Place{strings.NewReplacer(
		"the secret's MediaURI", words,
		"the MediaURI in its secret", words,
		"the MediaURI in the secret", words,
		"The MediaURI in the camera's secret", capital,
		"The MediaURI in the secret", capital,
		"The fingerprint in the MediaURI of", "The fingerprint in "+words+" of",
		"into the MediaURI", "into "+words,
	)}
}

// Text returns a sentence that names the place.
func (p Place) Text(sentence string) string {
	if p.words == nil {
		return sentence
	}
	return p.words.Replace(sentence)
}

// Fault returns a failure whose sentence names the place.
func (p Place) Fault(f *health.Fault) *health.Fault {
	if p.words == nil || f == nil {
		return f
	}
	return f.Reword(p.Text(f.Text))
}
