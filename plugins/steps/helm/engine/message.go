package main

// The messages between the engine and the Rust component; src/message.rs declares the same types.

// incoming is a message to the engine: first a request, then one answer for each question.
type incoming struct {
	Render *request      `json:"render"`
	Answer *lookupAnswer `json:"answer"`
}

// outgoing is a message from the engine: a question about the cluster, the result or an error.
type outgoing struct {
	Lookup   *lookupQuestion `json:"lookup,omitempty"`
	Rendered *rendered       `json:"rendered,omitempty"`
	Failed   *failure        `json:"failed,omitempty"`
}

type request struct {
	Release           string   `json:"release"`
	Namespace         string   `json:"namespace"`
	Revision          int      `json:"revision"`
	IsUpgrade         bool     `json:"isUpgrade"`
	Files             []file   `json:"files"`
	Values            values   `json:"values"`
	KubernetesVersion string   `json:"kubernetesVersion"`
	APIVersions       []string `json:"apiVersions"`
}

// file is a file of the chart, with its path relative to the chart's directory.
type file struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

type values struct {
	Files     []valuesFile `json:"files"`
	Set       []string     `json:"set"`
	SetString []string     `json:"setString"`
	SetJSON   []string     `json:"setJson"`
	SetFile   []valueFile  `json:"setFile"`
}

// valuesFile is a YAML document of values.
type valuesFile struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// valueFile sets one value to the whole text of a file.
type valueFile struct {
	Key  string `json:"key"`
	Data []byte `json:"data"`
}

// lookupQuestion asks for one object or, with an empty name, for all objects of a kind.
type lookupQuestion struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// lookupAnswer has the found objects as JSON documents, or the error of the lookup.
type lookupAnswer struct {
	Objects []string `json:"objects"`
	Error   string   `json:"error"`
}

type rendered struct {
	Manifests   []manifest `json:"manifests"`
	Hooks       []hook     `json:"hooks"`
	Definitions []manifest `json:"definitions"`
	Notes       string     `json:"notes"`
	Chart       string     `json:"chart"`
	Config      string     `json:"config"`
	Effective   string     `json:"effective"`
	Warnings    []string   `json:"warnings"`
}

type manifest struct {
	Source  string `json:"source"`
	Content string `json:"content"`
}

type hook struct {
	manifest
	Events         []string `json:"events"`
	Weight         int32    `json:"weight"`
	DeletePolicies []string `json:"deletePolicies"`
}

// failure is an error of the chart or of the values, with Helm's message.
type failure struct {
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Causes   []string `json:"causes"`
	Location string   `json:"location,omitempty"`
}
