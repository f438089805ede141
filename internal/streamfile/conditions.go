package streamfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeFile      = "stream-file"       // what is wrong with a file, whose name follows after a slash, or with several
	codeDirectory = "stream-files"      // what is wrong with the directory
	codeState     = "stream-file-state" // what is wrong with the last good contents on disk
)

// The scopes; each file has one of its own too, see fileScope.
const (
	scopeDirectory health.Scope = "stream-files"       // reading the directory
	scopeOthers    health.Scope = "stream-files-limit" // the files beyond maxFiles, which are not read
	scopeMore      health.Scope = "stream-files-more"  // the wrong files beyond mostShown, which are not shown
	scopeState     health.Scope = "stream-file-state"  // reading and writing the last good contents
)

// fileCode is the code of a file's condition. The file's name is cleaned like any text from outside: everybody who may write
// to the directory can choose it.
func fileCode(name string) string { return codeFile + "/" + health.Clean(name, health.MaxPart) }

func fileScope(name string) health.Scope { return health.Scope(codeFile + "/" + name) }

// report sets the condition of a scope, and logs it when it is new.
func (f *Files) report(scope health.Scope, severity health.Severity, fault *health.Fault) {
	if f.o.Health.Report(scope, severity, fault) {
		logevent.Condition(f.o.Log, fault)
	}
}

// mostShown is how many wrong files have a condition of their own. addRepeated adds no fault to a file that has as many.
const mostShown = 20

// reportFiles reports what is wrong with the files: of the first mostShown by name each, of the others only how many there are.
func (f *Files) reportFiles() {
	shown, more := 0, 0
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		known := f.files[name]
		switch {
		case known.wrong == "":
			f.reportFile(name, known)
		case shown < mostShown:
			shown++
			f.reportFile(name, known)
		default:
			more++
			f.o.Health.OK(fileScope(name))
		}
	}
	if more == 0 {
		f.o.Health.OK(scopeMore)
		return
	}
	f.report(scopeMore, health.Degraded, health.UserFault(codeFile, nil,
		"The directory %s has %s more that are wrong: correct or remove those that are shown, and these are shown then; `kvs-edge-agent check` "+
			"names all.", f.o.Dir, humanize.Count(more, "stream file")))
}

// reportFile reports what is wrong with a file, or ends its condition. miss ends that of a file that is gone.
func (f *Files) reportFile(name string, known *file) {
	scope := fileScope(name)
	if known.wrong == "" && (known.good == nil || !known.gone.IsZero()) {
		if known.good != nil { // the file is missing: its stream stays for a while, or another file has it now
			f.o.Health.OK(scope)
		}
		return // without good: the file was wrong at one reading only, so nothing is reported before the next one
	}
	severity, text := health.Degraded, ""
	switch {
	case known.wrong != "" && known.good != nil:
		text = fmt.Sprintf("is wrong, and what it held before stays in force for stream %s: %s", known.good.stream.Name, known.wrong)
	case known.wrong != "":
		text = "is wrong, and is not followed: " + known.wrong
	case f.owners[known.good.stream.Name] != name:
		text = fmt.Sprintf("is not followed: StreamName is %q, but must not be that of another file, as it is of %s: keep one of the two",
			known.good.stream.Name, f.owners[known.good.stream.Name])
	case known.note != "":
		severity = health.Info
		text = fmt.Sprintf("is followed, but %s has no effect, as AWS_KVS_EDGE_CLOUD is off and nothing is uploaded", known.note)
	default:
		f.o.Health.OK(scope)
		return
	}
	f.report(scope, severity, health.UserFault(fileCode(name), nil, "The stream file %s %s.", filepath.Join(f.o.Dir, name), text))
}

// notKnown is what follows from a directory that does not prove that it configures no streams, as a clause.
const notKnown = "it is not known whether streams are configured there, and media of streams without a configuration is kept"

// reportDirectory reports that the directory cannot be read (err), or has no file at all (none). Its streams stay as they were.
func (f *Files) reportDirectory(err error, none bool) {
	streams := slices.Sorted(maps.Keys(f.owners))
	all, unclear := f.knowledge()
	all = all && len(unclear) == 0
	switch {
	case none && len(streams) == 0 && all:
		f.o.Health.OK(scopeDirectory)
	case none && len(streams) == 0:
		f.report(scopeDirectory, health.Info, health.UserFault(codeDirectory, nil,
			"The directory %s has no file at all, so %s: mount its disk, or put a file of any other name there, such as README.", f.o.Dir, notKnown))
	case none:
		f.report(scopeDirectory, health.Degraded, health.UserFault(codeDirectory, nil,
			"The directory %s has no file at all, as if its disk were not mounted, so its streams stay as before: %s. "+
				"Mount it, or, to stop them, put a file of any other name there, such as README.", f.o.Dir, humanize.List(streams)))
	default:
		severity := health.Degraded
		if len(streams) == 0 && errors.Is(err, fs.ErrNotExist) {
			severity = health.Info
		}
		meanwhile, readme := "there are no streams from files", ""
		switch {
		case len(streams) > 0:
			meanwhile = "its streams stay as before: " + humanize.List(streams)
		case !all:
			meanwhile, readme = notKnown, ", and put a file such as README there if it is to have no streams"
		}
		if errors.Is(err, errSlow) {
			f.report(scopeDirectory, severity, health.UserFault(codeDirectory, err,
				"The directory with stream files, %s, cannot be read (%v), so %s. Restore the server or the disk that it is mounted from, or name "+
					"another directory in AWS_KVS_EDGE_STREAMS_DIRECTORY.", f.o.Dir, errSlow, meanwhile))
			return
		}
		f.report(scopeDirectory, severity, health.UserFault(codeDirectory, err,
			"The directory with stream files, %s, cannot be read (%s), so %s. Create it, readable for the agent's group "+
				"(chgrp kvs-edge-agent, chmod 0750)%s, or correct AWS_KVS_EDGE_STREAMS_DIRECTORY.",
			f.o.Dir, strings.TrimSuffix(cause(err), "."), meanwhile, readme))
	}
}

// reportOthers reports how many files are not read, as there are too many. The directory was read, so its condition ends.
func (f *Files) reportOthers(others int) {
	f.o.Health.OK(scopeDirectory)
	if others == 0 {
		f.o.Health.OK(scopeOthers)
		return
	}
	f.report(scopeOthers, health.Degraded, health.UserFault(codeDirectory, nil,
		"The directory %s has more than %d stream files; %s are not read: remove those that nobody needs.",
		f.o.Dir, maxFiles, humanize.Count(others, "file")))
}
