"The oldest version of every requirement that settings.ini admits, as constraints for pip."
import configparser
from pathlib import Path

def oldest(requirement):
    "`name==version` for `name>=version`; nothing for one without a version"
    name, at_least, version = requirement.partition('>=')
    return [f'{name}=={version}'] if at_least else []

def main():
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parent.parent/'settings.ini', encoding='utf-8')
    s = settings['DEFAULT']
    asked = ' '.join(v for k, v in s.items() if k.endswith('requirements') and not k.startswith('dev')).split()
    print('\n'.join(line for r in asked for line in oldest(r)))

if __name__ == '__main__': main()
