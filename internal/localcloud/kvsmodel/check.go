package kvsmodel

import "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"

// ErrorFor is the name of the error that the operation answers to the faults: the one that it
// declares for that rule, and otherwise InvalidArgumentException, which all operations declare.
func (o *Operation) ErrorFor(e *apimodel.Invalid) string {
	name := ""
	for _, f := range e.Faults {
		next := InvalidArgument
		switch {
		case f.Path == "Tags" && f.Rule == apimodel.MaxSize && o.Declares(TagsExceeded):
			next = TagsExceeded
		case f.Path == "StreamARN" && f.Rule == apimodel.Matches && o.Declares(InvalidResourceFormat):
			next = InvalidResourceFormat
		}
		if name != "" && name != next {
			return InvalidArgument
		}
		name = next
	}
	return name
}

// Read checks the body of a request, as apimodel.Read does.
func (o *Operation) Read(body []byte) (known []byte, ignored []string, err error) {
	return apimodel.Read(o.Members, body)
}
