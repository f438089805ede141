package settings

import (
	"cmp"
	"path/filepath"
)

// The agent's files in the state directory, beside those of iotconfig.
const (
	volumeMemoryFile = "recording-volume"           // remembers the recording disk
	policiesFile     = "policies.json"              // remembers what is kept of each stream
	lossesFile       = "deleted-before-upload.json" // remembers what was deleted before its upload
)

// VolumeMemoryFile is the path of the file that remembers the recording disk.
func (s Settings) VolumeMemoryFile() string { return filepath.Join(s.StateDirectory, volumeMemoryFile) }

// PoliciesFile is the path of the file that remembers what is kept of each stream.
func (s Settings) PoliciesFile() string { return filepath.Join(s.StateDirectory, policiesFile) }

// LossesFile is the path of the file that remembers what was deleted before its upload.
func (s Settings) LossesFile() string { return filepath.Join(s.StateDirectory, lossesFile) }

// StatePath is the state directory of an agent that is started in the current directory. The settings need not be valid.
func StatePath(lookup func(string) (string, bool)) string {
	e := environment{lookup: lookup}
	return cmp.Or(e.optional(EnvStateDirectory, e.optional(envSystemdStateDir, "")), defaultStateDirectory)
}

// OwnPlaces are the files and directories of the agent beside the recordings.
func (s Settings) OwnPlaces() []string {
	places := []string{s.StateDirectory, s.Log.Directory, s.MediaDirectory, s.Socket, filepath.Dir(s.Socket)}
	if s.StreamsDirectory != "" {
		places = append(places, s.StreamsDirectory)
	}
	return places
}

// Path is a path that the agent needs, with the variable that names it.
type Path struct {
	Variable, Path string
	Write          bool // it is written to, not only read
}

// PathsFromEnv lists what the settings have the agent read and write when it is started in /. The settings need not
// be valid: what a service's sandbox hides cannot be read either.
func PathsFromEnv(lookup func(string) (string, bool)) (list []Path) {
	e := environment{lookup: lookup}
	state := StatePath(lookup)
	media := e.optional(EnvMediaDirectory, "")
	for _, p := range []Path{
		{EnvRecordingDirectory, e.optional(EnvRecordingDirectory, defaultRecordings), true},
		{EnvStateDirectory, state, true},
		{EnvLogOutputDirectory, e.optional(EnvLogOutputDirectory, defaultLogDirectory), true},
		{EnvSocket, filepath.Dir(SocketPath(lookup)), true},
		{EnvMediaDirectory, media, false},
		{EnvStreamsDirectory, e.optional(EnvStreamsDirectory, ""), false},
		{EnvCoreCert, e.optional(EnvCoreCert, ""), false},
		{EnvCorePrivateKey, e.optional(EnvCorePrivateKey, ""), false},
		{EnvCACert, e.optional(EnvCACert, ""), false},
		{EnvCABundle, e.optional(EnvCABundle, ""), false},
		{EnvCertFile, e.optional(EnvCertFile, ""), false},
		{EnvRTSPSCACert, e.optional(EnvRTSPSCACert, ""), false},
		{EnvWebCert, e.optional(EnvWebCert, ""), false},
		{EnvWebKey, e.optional(EnvWebKey, ""), false},
	} {
		if p.Path != "" {
			p.Path = filepath.Join("/", p.Path)
			list = append(list, p)
		}
	}
	return list
}
