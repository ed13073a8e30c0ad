import os, select, socket, sys

def say(words):
    os.write(1, b"relay %s\n" % words.encode())

try:
    line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
except socket.gaierror:
    sys.exit(say("unknown-host"))
except ConnectionRefusedError:
    sys.exit(say("refused"))
except OSError as error:
    sys.exit(say("failed %s" % error.strerror))
say("connected")
while True:
    for source in select.select([0, line], [], [])[0]:
        data = os.read(0, 65536) if source == 0 else line.recv(65536)
        if not data:
            sys.exit()
        if source == 0:
            line.sendall(data)
        while source == line and data:
            data = data[os.write(1, data):]
